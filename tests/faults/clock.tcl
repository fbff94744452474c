# clock.tcl: a thread that receives itself, by a clock whose waits last 15 milliseconds longer than asked.
#
# Prints whether its timer was set once the clock was known, and not before; and how many seconds 40 waits in
# vain took.

chan configure stdout -buffering line -translation lf
package require iocpsock

proc echo {channel} {
    if {[gets $channel line] >= 0} {
        puts $channel $line
        incr ::rounds
    }
}

proc play {rounds} {
    set ::rounds 0
    puts $::client x
    while {$::rounds < $rounds} {
        vwait ::rounds
    }
}

proc timers {} {
    lindex [dict get [iocpsock::fault counts] SetWaitableTimer] 0
}

set server [socket2 -server {apply {{channel args} {set ::accepted $channel}}} -myaddr 127.0.0.1 0]
set client [socket2 127.0.0.1 [lindex [chan configure $server -sockname] 2]]
vwait accepted
foreach channel [list $client $accepted] {
    chan configure $channel -blocking 0 -buffering line
    chan event $channel readable [list echo $channel]
}
set deadline [expr {[clock seconds] + 20}]
iocpsock::fault clear
iocpsock::fault plan WaitForMultipleObjects late 15 0 -1 1000
while {![timers] && [clock seconds] < $deadline} {
    play 200                                    ;# the last message is on its way: it is the next one's first
    chan event $client readable {}
    vwait ::rounds
    after 30 {set ::rest 1}                     ;# a wait in vain
    vwait rest
    chan event $client readable [list echo $client]
    gets $client
}
puts "timer set: [expr {[timers] > 0}]"
exit
