# freeze.tcl: exit while every other thread has stopped in the middle of a call, as at the end of a process on
# Windows.
#
# Another thread's traffic is under way, and connections are closing. Prints a word before the exit.

chan configure stdout -buffering line -translation lf
package require iocpsock

proc echo {channel} {
    puts -nonewline $channel [read $channel]
    flush $channel
    incr ::rounds
}

set server [socket2 -server {apply {{channel args} {
    chan configure $channel -blocking 0 -translation binary
    chan event $channel readable [list echo $channel]
}}} -myaddr 127.0.0.1 0]
for {set i 0} {$i < 20} {incr i} {
    set client [socket2 127.0.0.1 [lindex [chan configure $server -sockname] 2]]
    chan configure $client -blocking 0 -translation binary
    chan event $client readable [list echo $client]
    puts -nonewline $client [string repeat x 10000]
    flush $client
}
set rounds 0
while {$rounds < 100} {
    vwait rounds
}
puts freezing
iocpsock::strict freeze
exit
