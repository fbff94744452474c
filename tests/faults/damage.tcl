# damage.tcl PLACE: do a wrong to the heap of the test build, which ends the process there and then, or when
# it exits.

chan configure stdout -buffering line -translation lf
package require iocpsock
close [socket2 -server {} -myaddr 127.0.0.1 0]
while {[dict get [iocpsock::stats] listeners_live]} {
    after 10 {set looked 1}                     ;# completion threads end the slots, and so the listener
    vwait looked
}
puts damaging
iocpsock::memory damage [lindex $argv 0]
exit
