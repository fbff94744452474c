# bind.tcl CODE TIMES: a bind that Windows refuses so many times (-1: always) makes no listener, whatever another bind would do.
#
# Prints how many sockets were bound, and the message.

chan configure stdout -buffering line -translation lf
package require iocpsock
close [socket2 -server list -myaddr 127.0.0.1 0]
iocpsock::fault clear
iocpsock::fault plan bind fail [lindex $argv 0] 0 [lindex $argv 1] 1000
catch {close [socket2 -server list -myaddr 127.0.0.1 0]} message
puts "[lindex [dict get [iocpsock::fault counts] bind] 0] <$message>"
exit
