# child.tcl: a child process of a scenario: tclsh child.tcl IMPLEMENTATION
#
# Its script comes over stdin, its length in characters on the line before it, so that no file is written;
# what the scenario says to it later comes over stdin too. `socket` and support.tcl are there as in the
# scenario itself.

source [file join [file dirname [file normalize [info script]]] support.tcl]
foreach channel {stdin stdout} {
    chan configure $channel -buffering line -translation lf -encoding utf-8
}
set harness::implementation [lindex $argv 0]
set localhost 127.0.0.1
eval [implementation_script]
eval [read stdin [gets stdin]]
