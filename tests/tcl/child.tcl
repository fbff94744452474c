# child.tcl: a child process of a scenario: tclsh child.tcl IMPLEMENTATION
#
# It reads its script from stdin, so that no file is written: first a line with the script's length in
# characters, then the script. The scenario's later input comes over stdin too. `socket` and support.tcl are
# available as in the scenario itself.

source [file join [file dirname [file normalize [info script]]] support.tcl]
foreach channel {stdin stdout} {
    chan configure $channel -buffering line -translation lf -encoding utf-8
}
set harness::implementation [lindex $argv 0]
set localhost 127.0.0.1
eval [implementation_script]
eval [read stdin [gets stdin]]
