
# Appended to a copy of Tcl's init.tcl for the test suites: socket2 takes the place of socket in this
# interpreter. A safe interpreter reads init.tcl too, but has neither command: there is nothing to replace.
# The DLL is loaded by its path because `package require` looks through files: that takes a child process time
# that tests measure, and it gives a new interpreter its standard channels before tests count them.
if {![interp issafe]} {
    load [file join [lindex $::env(TCLLIBPATH) 0] iocpsock iocpsock.dll] Iocpsock
    rename ::socket {}
    rename ::socket2 ::socket
}
