# caller.tcl: connections that a server under soak makes by itself: to a peer that answers or resets, and to a
# port where nobody listens. Everything runs on the event loop of program.tcl; what goes wrong with a
# connection is its peer's doing, and ends it. Each call has a number. It says that, in ten digits, and the
# stream of the number; the peer says the stream of the next number at the same time. What is heard must be
# the beginning of that, and all of it unless the peer has reset the connection.

namespace eval caller {
    variable calling 0
    variable calls 0        ;# under way
    variable turn 0
    variable pause 50       ;# milliseconds between two calls
    variable whole 0        ;# streams that were heard to their end
    variable wrong {}       ;# what was heard that was not said
}

# The stream of a number: tools/load/soak.py has the same.
proc caller::stream {number} {
    set size [expr {1 + $number * 7919 % 20000}]
    set seed $number
    set words {}
    for {set i 0} {$i <= $size} {incr i 4} {
        lappend words [set seed [expr {($seed * 1664525 + 1013904223) & 0xffffffff}]]
    }
    string range [binary format i* $words] 0 $size-1
}

proc caller::start {number} {
    variable calling 1
    variable port $number
    call
}

# No more calls; waits for those under way: how many streams were heard to their end so far. What was wrong is
# an error.
proc caller::stop {} {
    variable calling 0
    variable calls
    variable whole
    variable wrong
    while {$calls} {
        vwait caller::calls
    }
    if {[llength $wrong]} {
        error [join $wrong "; "]
    }
    return $whole
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
    chan event $channel writable [list caller::connected $channel $turn]
    incr calls
    after $pause caller::call
}

proc caller::connected {channel number} {
    variable heard
    chan event $channel writable {}
    set heard($channel) ""
    if {[chan configure $channel -error] ne ""
            || [catch {puts -nonewline $channel [format %010d $number][stream $number]}]} {
        hang_up $channel
        return
    }
    chan event $channel readable [list caller::readable $channel [stream [expr {$number + 1}]]]
}

proc caller::readable {channel said} {
    variable heard
    variable whole
    variable wrong
    if {![catch {append heard($channel) [read $channel]}] && ![eof $channel]} {
        return
    }
    if {$heard($channel) eq $said} {
        incr whole
    } elseif {$heard($channel) ne [string range $said 0 [string length $heard($channel)]-1]} {
        lappend wrong "of [string length $said] bytes came [string length $heard($channel)], others"
    }
    hang_up $channel
}

proc caller::hang_up {channel} {
    variable calls
    variable heard
    catch {close $channel}
    unset heard($channel)
    incr calls -1
}
