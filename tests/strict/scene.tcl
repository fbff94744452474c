# scene.tcl NAME: print what a play looks like.

chan configure stdout -buffering line -translation lf
package require iocpsock
puts [iocpsock::strict scene [lindex $argv 0]]
exit
