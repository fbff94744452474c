# refused.tcl: an option that the system refuses changes nothing.
#
# Prints what each attempt comes to, and what the option then is.

chan configure stdout -buffering line -translation lf
package require iocpsock

set server [socket2 -server {apply {{channel args} {set ::accepted $channel}}} -myaddr 127.0.0.1 0]
set client [socket2 127.0.0.1 [lindex [chan configure $server -sockname] 2]]
vwait accepted
foreach {option value} {-keepalive 1 -nodelay 0} {
    iocpsock::fault clear
    iocpsock::fault plan setsockopt fail 10055 0 1 1000
    foreach attempt {refused granted} {
        set code [catch {chan configure $client $option $value} message]
        puts "$option $attempt: $code <$message> [chan configure $client $option]"
    }
}
exit
