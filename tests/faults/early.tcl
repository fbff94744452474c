# early.tcl: what is written to an -async connection before it is there, while the packet of its ConnectEx, or
# its lookup, is late.
#
# Prints a line for each case: what the peer got, or how the connection ended.

chan configure stdout -buffering line -translation lf
source [file join [file dirname [file normalize [info script]]] scenario.tcl]

set LATE {{ConnectEx late 400 0}}
set LOOKED_UP_LATE {{GetAddrInfoW late 2500 1}}     ;# the first call takes addresses only
set REFUSED [list {*}$LOOKED_UP_LATE [list ConnectEx status [expr {0xC0000236 - (1 << 32)}] 0]]
set ::tcl::unsupported::socketAF inet
set host 127.0.0.1

set server [socket2 -server {apply {{channel args} {
    chan configure $channel -blocking 0 -translation binary
    chan event $channel readable [list collect $channel]
}}} -myaddr 127.0.0.1 0]

proc collect {channel} {
    append ::got [read $channel]
    if {[eof $channel]} {
        close $channel
        set ::ended 1
    }
}

proc live {} {
    dict get [iocpsock::stats] connections_live
}

# The script, with a connection that is being made in `client`; then what came of it, when nothing is left.
proc early {name how script} {
    unset -nocomplain ::ended
    set ::got ""
    iocpsock::fault clear
    foreach plan $how {
        iocpsock::fault plan {*}$plan 1 1000
    }
    set client [socket2 -async $::host [lindex [chan configure $::server -sockname] 2]]
    chan configure $client -blocking 0 -translation binary -buffersize 65536
    set code [catch $script result]
    regsub -all {sock[0-9a-f]{6,}} $result channel result
    if {![scenario::await 10000 {[live] == 0}]} {
        append result " (not ended)"
    }
    puts "$name: $code <$result> [string length $::got] bytes"
    catch {close $client}
}

early "closed" $LATE {
    puts -nonewline $client [string repeat x 100000]
    flush $client
    set state [chan configure $client -connecting]
    close $client
    set state
}
early "half-closed" $LATE {
    puts -nonewline $client [string repeat x 100000]
    close $client write
    vwait ::ended
    close $client
}
early "not lingering" $LATE {puts -nonewline $client early; chan configure $client -linger 0; close $client}
early "not writable before it is connected" $LATE {
    puts -nonewline $client early
    flush $client
    chan event $client writable [list set ::writable $client]
    vwait ::writable
    set state [list [chan configure $client -connecting] [chan configure $client -error]]
    close $client
    set state
}
early "more than the queue holds" $LATE {
    chan configure $client -sendlimit 70000
    puts -nonewline $client [string repeat x 300000]
    flush $client
    set held [chan pending output $client]
    close $client
    expr {$held > 0}
}
early "a write that blocks goes behind it" $LATE {
    puts -nonewline $client first,
    flush $client
    chan configure $client -blocking 1
    puts -nonewline $client then
    flush $client
    close $client
    scenario::await 5000 {[info exists ::ended]}
    set ::got
}
iocpsock::configure -lookup background
set host localhost
early "refused, closed before" $REFUSED {puts -nonewline $client early; close $client}
early "refused, closed behind" $REFUSED {
    puts -nonewline $client early
    flush $client
    scenario::await 5000 {![chan configure $client -connecting]}
    close $client
}
early "refused, a close that blocks" $REFUSED {
    puts -nonewline $client early
    flush $client
    chan configure $client -blocking 1
    close $client
}
early "refused, told by a read" $REFUSED {
    puts -nonewline $client early
    flush $client
    scenario::await 5000 {![chan configure $client -connecting]}
    catch {read $client} message
    list $message [catch {close $client}]
}
early "lingering too briefly" $LOOKED_UP_LATE {
    puts -nonewline $client early
    chan configure $client -linger 1
    close $client
}
early "looked up in the end" $LOOKED_UP_LATE {puts -nonewline $client early; close $client}
close $server
exit
