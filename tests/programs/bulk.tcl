# bulk.tcl: one end of a bulk exchange: a stream each way at once on one connection, checksummed by whoever
# wrote and by whoever read.
#
# Both ends write `total` characters in pieces whose sizes are the same on both ends, end their stream by a
# half-close, and read to the end of the other's. How an end does that is its manner:
#
#     events      non-blocking: a piece whenever the channel is writable, and whatever there is whenever it is
#                 readable
#     writer      blocking: writes a piece, then reads as much, and so on; its peer is `events`, or a `reader`
#     reader      blocking: reads a piece, then writes as much, and so on; its peer is `events`, or a `writer`
#
# The client runs in one script (bulk::connect); the server accepts in the background, and bulk::result waits
# for it. Either gives a dict: written, read (characters), sent, received (their CRC-32), seconds.

namespace eval bulk {
    variable blocks         ;# those made so far, by kind and seed
    variable block          ;# what is written, from a new place each time
    variable total          ;# characters each way
    variable sizes          ;# `mixed`, or the size of every piece
    variable random         ;# state of the generator of sizes
    variable manner
    variable channel
    variable done           ;# the dict of figures while the exchange runs; then also in `outcome`
    variable outcome
}

# Sets what the next exchange is like. With `text` the data are lines of ASCII; otherwise bytes of every
# value.
proc bulk::prepare {how characters piece text seed} {
    variable manner $how total $characters sizes $piece random 12345
    variable blocks
    if {![info exists blocks($text,$seed)]} {
        set blocks($text,$seed) [expr {$text ? [lines 2500000 $seed] : [bytes 2500000 $seed]}]
    }
    variable block $blocks($text,$seed)
    variable outcome
    unset -nocomplain outcome
}

proc bulk::bytes {count seed} {
    set words {}
    for {set i 0} {$i < $count / 4} {incr i} {
        lappend words [set seed [expr {($seed * 1664525 + 1013904223) & 0xffffffff}]]
    }
    binary format i* $words
}

proc bulk::lines {count seed} {
    set lines {}
    for {set length 0} {$length < $count} {incr length [string length [lindex $lines end]]} {
        set seed [expr {($seed * 1664525 + 1013904223) & 0xffffffff}]
        # Lines of 8 to 70 characters, and one in sixteen that is empty.
        set word [format %08x $seed]
        lappend lines [expr {$seed >> 28 ? [string repeat $word [expr {1 + ($seed >> 24) % 8}]] : {}}]\n
    }
    string range [join $lines {}] 0 $count-1
}

# How many characters the next piece has: as often about 1 as about 1 MB, and of the sizes between as often
# about each power of two.
proc bulk::next_size {limit} {
    variable sizes
    variable random
    set size $sizes
    if {$sizes eq "mixed"} {
        set random [expr {($random * 1664525 + 1013904223) & 0xffffffff}]
        set power [expr {1 << (($random >> 16) % 21)}]
        set size [expr {$power - ($random & 0xffff) % (($power + 1) / 2)}]
    }
    expr {min($size, $limit)}
}

proc bulk::listen {options} {
    variable listener [socket -server [list bulk::accept $options] -myaddr 127.0.0.1 0]
    port_of $listener
}

proc bulk::accept {options connection address port} {
    variable listener
    close $listener
    play $connection $options
}

proc bulk::connect {port options} {
    play [socket 127.0.0.1 $port] $options
    result
}

# The figures of this end's exchange, once it is over.
proc bulk::result {} {
    variable outcome
    if {![info exists outcome]} {
        vwait bulk::outcome
    }
    return $outcome
}

proc bulk::play {connection options} {
    variable manner
    variable channel $connection
    variable done [dict create written 0 sent [zlib crc32 ""] read 0 received [zlib crc32 ""] \
        start [clock milliseconds]]
    chan configure $channel {*}$options -blocking [expr {$manner ne "events"}]
    if {$manner eq "events"} {
        chan event $channel writable bulk::write_event
        chan event $channel readable bulk::read_event
    } else {
        alternate
    }
}

proc bulk::write {size} {
    variable block
    variable channel
    variable done
    # Each piece begins elsewhere, and the place is never the same for two pieces in a row.
    set start [expr {[dict get $done written] * 7 % ([string length $block] - $size)}]
    set piece [string range $block $start [expr {$start + $size - 1}]]
    puts -nonewline $channel $piece
    dict set done sent [zlib crc32 $piece [dict get $done sent]]
    dict incr done written $size
}

proc bulk::take {data} {
    variable done
    dict set done received [zlib crc32 $data [dict get $done received]]
    dict incr done read [string length $data]
}

# What this end has still to write.
proc bulk::rest {} {
    variable total
    variable done
    expr {$total - [dict get $done written]}
}

proc bulk::write_event {} {
    variable channel
    write [next_size [rest]]
    if {[rest] == 0} {
        chan event $channel writable {}
        close $channel write
    }
}

proc bulk::read_event {} {
    variable channel
    take [read $channel]
    if {[eof $channel]} {
        chan event $channel readable {}
        finish
    }
}

proc bulk::alternate {} {
    variable manner
    variable channel
    while {[rest]} {
        set size [next_size [rest]]
        if {$manner eq "writer"} {
            write $size
            take [read $channel $size]
        } else {
            take [read $channel $size]
            write $size
        }
    }
    close $channel write
    take [read $channel]
    finish
}

# The peer's stream has ended. It ends only when the peer has written all, which it may do before we have.
proc bulk::finish {} {
    variable channel
    variable done
    variable outcome
    if {[rest]} {
        chan event $channel writable [list bulk::write_last]
        return
    }
    close $channel
    dict set done seconds [expr {([clock milliseconds] - [dict get $done start]) / 1e3}]
    set outcome [dict remove $done start]
}

proc bulk::write_last {} {
    variable channel
    write [next_size [rest]]
    if {[rest] == 0} {
        chan event $channel writable {}
        close $channel write
        finish
    }
}
