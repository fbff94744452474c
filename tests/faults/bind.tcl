# bind.tcl CODE: a bind that Windows refuses is made once, and its code is the answer.
#
# Prints how many sockets were bound, and the message.

chan configure stdout -buffering line -translation lf
package require iocpsock
close [socket2 -server list -myaddr 127.0.0.1 0]
iocpsock::fault clear
iocpsock::fault plan bind fail [lindex $argv 0] 0 1 1000
catch {close [socket2 -server list -myaddr 127.0.0.1 0]} message
puts "[lindex [dict get [iocpsock::fault counts] bind] 0] <$message>"
exit
