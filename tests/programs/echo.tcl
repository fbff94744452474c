# echo.tcl: an echo server for scenarios that count: how many connections are open, and what it was told went
# wrong.
#
# It has the flow control that a server needs: while a peer takes nothing, nothing more is read from it.
# Everything runs on the event loop of program.tcl.

namespace eval echo {
    variable open 0         ;# connections
    variable accepted 0     ;# ever
    variable errors 0       ;# connections that ended by an error
    variable held 65536     ;# characters that may wait in a channel to be sent before it is read again
}

# Listens, with the engine's settings for what it accepts; the port.
proc echo::listen {args} {
    variable listener [start echo::accept {*}$args]
    port_of $listener
}

proc echo::start {accept args} {
    set listener [socket -server $accept -myaddr 127.0.0.1 0]
    chan configure $listener {*}$args
    return $listener
}

proc echo::accept {channel address port} {
    variable open
    variable accepted
    chan configure $channel -blocking 0 -translation binary -buffering none
    chan event $channel readable [list echo::readable $channel]
    incr accepted
    incr open
}

proc echo::readable {channel} {
    variable held
    # A write that failed in the background is an error of the next operation, which may be the read.
    if {[catch {puts -nonewline $channel [read $channel 65536]}]} {
        variable errors
        incr errors
        hang_up $channel
    } elseif {[eof $channel]} {
        hang_up $channel
    } elseif {[chan pending output $channel] > $held} {
        chan event $channel readable {}
        chan event $channel writable [list echo::writable $channel]
    }
}

# What waited is sent, or cannot be.
proc echo::writable {channel} {
    chan event $channel writable {}
    chan event $channel readable [list echo::readable $channel]
}

# Sends as many pieces of 64 KB as the peer takes, up to the number, and then closes. A piece is written only
# when the engine has room, so Tcl itself holds nothing back, and what the peer has not taken is the engine's
# business from then on.
proc echo::pour {pieces channel args} {
    chan configure $channel -blocking 0 -translation binary -buffering none -buffersize 65536
    chan event $channel writable [list echo::pour_piece $channel]
    variable rest $pieces
    variable stuck [after 500 [list close $channel]]
}

proc echo::pour_piece {channel} {
    variable rest
    variable stuck
    after cancel $stuck
    puts -nonewline $channel [string repeat x 65536]
    if {[incr rest -1] == 0} {
        close $channel
    } else {
        set stuck [after 500 [list close $channel]]
    }
}

# Says a line, ends its own stream, and waits for the end of the peer's; what that said is in `heard`.
proc echo::greet {channel args} {
    variable heard
    unset -nocomplain heard
    chan configure $channel -blocking 0 -translation binary
    puts $channel "welcome"
    close $channel write
    chan event $channel readable [list apply {{channel} {
        append ::echo::said [read $channel]
        if {[eof $channel]} {
            close $channel
            set ::echo::heard $::echo::said
            unset ::echo::said
        }
    }} $channel]
}

proc echo::hang_up {channel} {
    variable open
    catch {close $channel}
    incr open -1
}

# Waits until so many connections are open; how many are, in the end.
proc echo::await {count milliseconds} {
    variable open
    variable late 0
    set timer [after $milliseconds {set echo::late 1; set echo::open $echo::open}]
    while {$open != $count && !$late} {
        vwait echo::open
    }
    after cancel $timer
    return $open
}

# Waits until no more than so many connections live in the engine; nothing announces that, so it looks now and
# then.
proc echo::await_live {count milliseconds} {
    set deadline [expr {[clock milliseconds] + $milliseconds}]
    while {[dict get [iocpsock::stats] connections_live] > $count && [clock milliseconds] < $deadline} {
        after 20 {set echo::tick 1}
        vwait echo::tick
    }
    dict get [iocpsock::stats] connections_live
}
