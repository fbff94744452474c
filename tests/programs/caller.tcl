# caller.tcl: connections that a server under soak makes by itself: to a peer that answers or resets, and to a port where nobody
# listens. Everything runs on the event loop of program.tcl; what goes wrong with a connection is its peer's doing, and ends it.

namespace eval caller {
    variable calling 0
    variable calls 0        ;# under way
    variable turn 0
    variable pause 50       ;# milliseconds between two calls
}

proc caller::start {number} {
    variable calling 1
    variable port $number
    call
}

# No more calls; waits for those under way.
proc caller::stop {} {
    variable calling 0
    variable calls
    while {$calls} {
        vwait caller::calls
    }
}

proc caller::call {} {
    variable calling
    variable calls
    variable port
    variable turn
    variable pause
    if {!$calling} {
        return
    }
    # Port 1 (tcpmux) is nobody's.
    set channel [socket -async 127.0.0.1 [expr {[incr turn] % 8 ? $port : 1}]]
    chan configure $channel -blocking 0 -translation binary -buffering none
    chan event $channel writable [list caller::connected $channel]
    incr calls
    after $pause caller::call
}

proc caller::connected {channel} {
    chan event $channel writable {}
    if {[chan configure $channel -error] ne "" || [catch {puts -nonewline $channel "0123456789"}]} {
        hang_up $channel
        return
    }
    chan event $channel readable [list caller::readable $channel]
}

proc caller::readable {channel} {
    if {[catch {read $channel}] || [eof $channel]} {
        hang_up $channel
    }
}

proc caller::hang_up {channel} {
    variable calls
    catch {close $channel}
    incr calls -1
}
