# The Tcl package: one DLL for Tcl 8.6 and 9, under the name of today and that of 2003.
if {![package vsatisfies [package provide Tcl] 8.6-] || [info sharedlibextension] ne ".dll"} return
package ifneeded iocpsock 1.0a0 [list load [file join $dir iocpsock.dll] Iocpsock]
package ifneeded Iocpsock 1.0a0 [list load [file join $dir iocpsock.dll] Iocpsock]
