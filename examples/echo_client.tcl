# echo_client.tcl PORT WORD ...: send each word to an echo server as a line, and print what comes back.

package require iocpsock

proc answer {channel} {
    if {[chan gets $channel line] >= 0} {
        puts $line
        incr ::missing -1
    } elseif {[chan eof $channel]} {
        puts stderr "the server has closed the connection"
        set ::missing 0
    }
}

set words [lassign $argv port]
set missing [llength $words]
set channel [socket2 127.0.0.1 $port]
chan configure $channel -blocking 0 -buffering line -translation lf
chan event $channel readable [list answer $channel]
foreach word $words {
    puts $channel $word
}
while {$missing > 0} {
    vwait missing
}
close $channel
