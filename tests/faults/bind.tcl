# bind.tcl CODE WHOSE: a bind that Windows refuses makes no listener, whatever another bind would do.
#
# The port is somebody's ("taken") or nobody's ("free"). Prints how many sockets were bound, and the message.

chan configure stdout -buffering line -translation lf
package require iocpsock
lassign $argv code whose
set holder [socket2 -server list -myaddr 127.0.0.1 0]
set port [lindex [chan configure $holder -sockname] 2]
if {$whose eq "free"} {
    close $holder
}
iocpsock::fault clear
iocpsock::fault plan bind fail $code 0 1 1000
catch {close [socket2 -server list -myaddr 127.0.0.1 $port]} message
puts "[lindex [dict get [iocpsock::fault counts] bind] 0] <$message>"
exit
