# breach.tcl NAME: break a rule, which ends the process there and then.

chan configure stdout -buffering line -translation lf
package require iocpsock
puts breaking
iocpsock::strict breach [lindex $argv 0]
puts "the rule did not hold"
exit
