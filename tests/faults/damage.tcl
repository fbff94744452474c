# damage.tcl PLACE: do a wrong to the heap of the test build, which ends the process there and then, or when it exits.

chan configure stdout -buffering line -translation lf
package require iocpsock
puts damaging
iocpsock::memory damage [lindex $argv 0]
exit
