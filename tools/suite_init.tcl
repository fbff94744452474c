
# Appended to a copy of Tcl's init.tcl for the test suites: socket2 takes the place of socket in this interpreter.
# A safe interpreter reads init.tcl too, but has neither command: there is nothing to replace.
if {![interp issafe]} {
    package require iocpsock
    rename ::socket {}
    rename ::socket2 ::socket
}
