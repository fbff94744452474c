# echo_server.tcl ?PORT?: send back whatever comes, to any number of clients at a time.

package require iocpsock

proc accept {channel address port} {
    chan configure $channel -blocking 0 -translation binary
    chan event $channel readable [list echo $channel]
}

proc echo {channel} {
    chan puts -nonewline $channel [chan read $channel]
    if {[chan eof $channel]} {
        close $channel
    } else {
        chan flush $channel
    }
}

set server [socket2 -server accept -myaddr 127.0.0.1 [expr {$argc ? [lindex $argv 0] : 7007}]]
puts "listening on port [lindex [chan configure $server -sockname] 2]"
flush stdout
vwait forever
