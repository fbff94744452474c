# threads.tcl PROCESSORS: how many completion threads there are at first, and when there is work for more.
#
# Prints both.

chan configure stdout -buffering line -translation lf
package require iocpsock
set processors [lindex $argv 0]
iocpsock::fault clear
iocpsock::fault plan GetActiveProcessorCount value $processors 0 -1 1000
# So that this thread does not receive itself, without packets.
iocpsock::fault plan CreateEventW fail 8 0 -1 1000

proc threads {} {
    dict get [iocpsock::stats] threads
}

proc pass {from to args} {
    chan copy $from $to -size 65536 -command [list pass $from $to]
}

set server [socket2 -server {apply {{channel args} {
    chan configure $channel -translation binary
    chan configure $channel -blocking 0
    chan event $channel readable [list apply {channel {
        if {[catch {puts -nonewline $channel [read $channel 65536]; flush $channel}] || [eof $channel]} {
            close $channel
        }
    }} $channel]
}}} -myaddr 127.0.0.1 0]
puts "[threads] at first"
for {set i 0} {$i < 20} {incr i} {
    set client [socket2 127.0.0.1 [lindex [chan configure $server -sockname] 2]]
    chan configure $client -translation binary -blocking 0
    puts -nonewline $client [string repeat x 100000]
    pass $client $client
}
set deadline [expr {[clock seconds] + 30}]
while {[threads] == 2 && [clock seconds] < $deadline} {
    after 50 {set ::look 1}
    vwait look
}
puts [expr {2 < [threads] && [threads] <= $processors ? "more than 2, at most $processors" : "[threads]"}]
exit
