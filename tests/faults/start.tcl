# start.tcl CALL CODE: the engine's first start, failing at each of its calls in turn, until it succeeds; then
# a whole run.
#
# Prints the message of each failed start, complaints, and at the end `@@ started FAILURES`.

chan configure stdout -buffering line -translation lf
source [file join [file dirname [file normalize [info script]]] scenario.tcl]
lassign $argv call code

interp bgerror {} {apply {{message options} {puts "background error: [dict get $options -errorinfo]"}}}
set failures 0
set before [iocpsock::memory blocks]
for {set skip 0} {1} {incr skip} {
    iocpsock::fault clear
    iocpsock::fault plan $call fail $code $skip 1 1000
    if {![catch {socket2 -server scenario::accepted -myaddr 127.0.0.1 0} server]} {
        break
    }
    if {![string match "couldn't start iocpsock: ?*" $server]} {
        break
    }
    puts "message: $server"
    if {[iocpsock::memory blocks] != $before} {
        puts "a failed start left memory behind"
    }
    incr failures
}
iocpsock::fault clear
catch {close $server}
foreach complaint [concat [scenario::prepare] [scenario::aftermath]] {
    puts "after $failures failed starts: $complaint"
}
puts "@@ started $failures"
exit
