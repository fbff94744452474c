# shuffle.tcl MILLISECONDS THREADS RECEIVES CONNECTIONS BYTES SEED: order, when packets are dealt out in any
# order.
#
# Every packet waits up to MILLISECONDS, and what is due is drawn at random by THREADS completion threads;
# each connection has RECEIVES receives outstanding. What arrives must be what was sent, byte by byte.
# Prints a line for each complaint, and `@@ shuffled CONNECTIONS BYTES PACKETS` at the end: packets that were
# overtaken.

chan configure stdout -buffering line -translation lf
source [file join [file dirname [file normalize [info script]]] scenario.tcl]
lassign $argv milliseconds threads receives connections bytes seed

interp bgerror {} {apply {{message options} {puts "background error: [dict get $options -errorinfo]"}}}
iocpsock::fault plan GetActiveProcessorCount value $threads 0 -1 1000
# So that this thread does not receive itself, without packets.
iocpsock::fault plan CreateEventW fail 8 0 -1 1000
set scenario::patience 60000
iocpsock::fault shuffle 1 $seed                 ;# warms up what serves the receives, too
scenario::prepare -recvcount $receives -recvbufsize 512
iocpsock::fault shuffle $milliseconds $seed
array unset scenario::flows
for {set i 0} {$i < $connections} {incr i} {
    scenario::start echo $bytes -async 127.0.0.1 $scenario::port
}
foreach channel [scenario::others] {
    chan configure $channel -recvcount $receives -recvbufsize 512
}
if {![scenario::await $scenario::patience {
    ![llength [concat [scenario::ends client] [scenario::ends server]]]
}]} {
    puts "hung: [scenario::describe]"
}
set overtaken [iocpsock::fault overtaken]
set total 0
foreach id [array names scenario::flows] {
    foreach complaint [scenario::judge $scenario::flows($id) 0] {
        puts "flow $id: $complaint"
    }
    incr total [string length [dict get $scenario::flows($id) received]]
}
iocpsock::fault shuffle 0 0
iocpsock::fault clear
dict incr scenario::base handles $threads      ;# threads that were idle may only now have made some
foreach complaint [scenario::aftermath] {
    puts $complaint
}
if {[dict get [iocpsock::stats] threads] < $threads} {
    puts "only [dict get [iocpsock::stats] threads] threads"
}
puts "@@ shuffled $connections $total $overtaken"
exit
