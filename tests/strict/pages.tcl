# pages.tcl: how many pages of memory the receives of idle connections lock.
#
# Prints pages for each receive of 50 connections that wait to be read, and of as many that have been read
# from.

chan configure stdout -buffering line -translation lf
package require iocpsock

set server [socket2 -server {apply {{channel args} {
    chan configure $channel -blocking 0 -translation binary -recvmode buffered
    chan event $channel readable [list apply {{channel} {
        incr ::got [string length [read $channel]]
    }} $channel]
    incr ::accepted
}}} -myaddr 127.0.0.1 0]
set accepted 0
set got 0
for {set i 0} {$i < 50} {incr i} {
    lappend clients [socket2 127.0.0.1 [lindex [chan configure $server -sockname] 2]]
}
while {$accepted < 50} {
    vwait accepted
}
puts [expr {[iocpsock::strict count pages] / 50.0}]
foreach client $clients {
    chan configure $client -translation binary
    puts -nonewline $client [string repeat x 100]
    flush $client
}
while {$got < 5000} {
    vwait got
}
after 100 {set quiet 1}
vwait quiet
puts [expr {[iocpsock::strict count pages] / 50.0}]
exit
