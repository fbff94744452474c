# Run one file of Tcl's own test suite as if it were the script of this shell, with every line of its output
# sent at once: what a test that hangs or crashes had printed is then not lost with the process.
#
# usage: tcltest suite_run.tcl FILE [tcltest options]

fconfigure stdout -buffering line
set argv [lassign $argv argv0]
incr argc -1
# This command of Tcl 9's test shell writes into what it takes for the stock driver's structure, whichever
# channel it is given. Without it the suite leaves out the one test that needs it.
if {[package provide iocpsock] ne "" && [info commands testsocket] ne ""} {
    rename testsocket {}
}
source $argv0
