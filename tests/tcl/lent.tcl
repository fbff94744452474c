# lent.tcl: the extension taker.c and the common procedures of the scenarios in which it takes a channel's
# handle.

if {[tcltest::testConstraint taker]} {
    load $::env(IOCPSOCK_TAKER) Taker
}

# Stacks the driver on the channel, in the mode in which that is: how it is used, `direct` or `through`.
proc take {channel} {
    set blocking [chan configure $channel -blocking]
    set how [taker::import $channel 7]
    chan configure $channel -blocking $blocking
    return $how
}

proc line_round_trip {client accepted} {
    chan configure $client -buffering line
    chan configure $accepted -buffering line
    puts $client hello
    set there [read_line $accepted]
    puts $accepted "$there, world"
    list $there [read_line $client]
}
