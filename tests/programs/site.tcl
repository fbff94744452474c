# site.tcl: an HTTP server that answers in every way that a client must understand. Runs on the main thread's
# event loop.
#
# Each connection is a coroutine, which owns its channel. /PAGE?NUMBER calls site::page::PAGE with the
# channel, the number and the request's body; a page that returns 0 ends its connection.

namespace eval site {
    variable connections 0
    namespace eval page {}
}

proc site::start {} {
    socket -server site::accept -myaddr 127.0.0.1 0
}

proc site::accept {channel address port} {
    variable connections
    coroutine connection[incr connections] site::converse $channel $connections
}

proc site::converse {channel connection} {
    variable served
    chan configure $channel -blocking 0 -translation binary -buffersize 65536
    chan event $channel readable [info coroutine]
    set served($connection) 0
    try {
        while {[serve $channel $connection]} {}
    } finally {
        close $channel
    }
}

# Answers one request; true if the connection can take another.
proc site::serve {channel connection} {
    variable served
    if {[set line [next_line $channel]] eq ""} {
        return 0
    }
    set fields [header_fields $channel]
    set body [request_body $channel $fields]
    regexp {^\w+ /(\w+)\??(\d*) } $line -> page number
    incr served($connection)
    set keep [page::$page $channel $number $body $connection]
    flush $channel
    return [expr {$keep && [field $fields connection] ne "close"}]
}

# One line of a request head; "" at its end, or at the end of the connection.
proc site::next_line {channel} {
    while {[gets $channel line] < 0} {
        if {[eof $channel]} {
            return ""
        }
        yield
    }
    return [string trimright $line \r]
}

proc site::header_fields {channel} {
    set fields {}
    while {[set line [next_line $channel]] ne ""} {
        regexp {^([^:]+):\s*(.*)$} $line -> name value
        dict set fields [string tolower $name] $value
    }
    return $fields
}

proc site::field {fields name {default ""}} {
    expr {[dict exists $fields $name] ? [dict get $fields $name] : $default}
}

proc site::request_body {channel fields} {
    set length [field $fields content-length 0]
    if {[field $fields expect] eq "100-continue"} {
        puts -nonewline $channel "HTTP/1.1 100 Continue\r\n\r\n"
        flush $channel
    }
    set body ""
    while {[string length $body] < $length && ![eof $channel]} {
        append body [read $channel [expr {$length - [string length $body]}]]
        if {[string length $body] < $length} {
            yield
        }
    }
    return $body
}

# NUMBER bytes that do not compress to nothing, and in which no two pieces are the same.
proc site::content {number} {
    set content ""
    for {set i 0} {$i * 8 < $number} {incr i} {
        append content [format "%07x\n" [expr {$i * 40503 & 0xfffffff}]]
    }
    string range $content 0 $number-1
}

proc site::head {channel args} {
    puts -nonewline $channel "HTTP/1.1 200 OK\r\n[join $args \r\n]\r\n\r\n"
}

proc site::send {channel body args} {
    head $channel "Content-Type: application/octet-stream" "Content-Length: [string length $body]" {*}$args
    puts -nonewline $channel $body
    return 1
}

# The body in chunks of 1, 2, 4, 8... bytes.
proc site::send_chunked {channel body args} {
    head $channel "Content-Type: application/octet-stream" "Transfer-Encoding: chunked" {*}$args
    for {set at 0; set size 1} {$at < [string length $body]} {incr at $size; incr size $size} {
        set chunk [string range $body $at [expr {$at + $size - 1}]]
        puts -nonewline $channel "[format %x [string length $chunk]]\r\n$chunk\r\n"
    }
    puts -nonewline $channel "0\r\n\r\n"
    return 1
}

proc site::page::plain {channel number args} {
    site::send $channel [site::content $number]
}

proc site::page::text {channel args} {
    set body [encoding convertto utf-8 "gr\u00fc\u00df \u4e16\u754c\n"]
    site::head $channel "Content-Type: text/plain; charset=utf-8" "Content-Length: [string length $body]"
    puts -nonewline $channel $body
    return 1
}

proc site::page::echo {channel number body args} {
    site::send $channel $body
}

proc site::page::chunked {channel number args} {
    site::send_chunked $channel [site::content $number]
}

proc site::page::gzip {channel number args} {
    site::send $channel [zlib gzip [site::content $number]] "Content-Encoding: gzip"
}

proc site::page::both {channel number args} {
    site::send_chunked $channel [zlib gzip [site::content $number]] "Content-Encoding: gzip"
}

# A body that ends with the connection, as in HTTP/1.0.
proc site::page::unbounded {channel number args} {
    site::head $channel "Content-Type: application/octet-stream" "Connection: close"
    puts -nonewline $channel [site::content $number]
    return 0
}

# Which connection this is, and which of its requests.
proc site::page::which {channel number body connection} {
    site::send $channel "$connection.$::site::served($connection)"
}

# The same, and the end of the connection.
proc site::page::last {channel number body connection} {
    site::send $channel "$connection.$::site::served($connection)" "Connection: close"
    return 0
}

# A connection that is said to stay and does not.
proc site::page::fickle {channel args} {
    site::send $channel "good bye"
    return 0
}

# Half of what was promised.
proc site::page::cut {channel number args} {
    site::head $channel "Content-Type: application/octet-stream" "Content-Length: [expr {$number * 2}]"
    puts -nonewline $channel [site::content $number]
    return 0
}

# Half of it, and then nothing until the client has enough.
proc site::page::stall {channel args} {
    cut $channel {*}$args
    flush $channel
    never $channel
}

proc site::page::never {channel args} {
    while {![eof $channel]} {
        yield
        read $channel
    }
    return 0
}
