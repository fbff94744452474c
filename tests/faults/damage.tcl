# damage.tcl PLACE: do a wrong to the heap of the test build, which ends the process there and then, or when
# it exits.

chan configure stdout -buffering line -translation lf
package require iocpsock
close [socket2 -server {} -myaddr 127.0.0.1 0]
after 200 {set settled 1}                       ;# the slots end in the background, and the listener with the last of them
vwait settled
puts damaging
iocpsock::memory damage [lindex $argv 0]
exit
