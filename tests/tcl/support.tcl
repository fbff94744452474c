# support.tcl: the common procedures of the scenarios. harness.tcl sources it on the main thread. Nothing here
# names an implementation except implementation_script, by which a child interpreter or a child process gets
# its `socket` too.

# Longest wait for something that must happen, in milliseconds. Only a failing test ever waits that long.
set ::patience 30000

namespace eval harness {
    variable directory [file dirname [file normalize [info script]]]
    variable background {}
    variable wakeups 0
}

# The script that makes `socket` the implementation under test in whatever interpreter evaluates it.
proc implementation_script {} {
    if {$::harness::implementation eq "stock"} {
        return {interp alias {} stock_socket {} socket}
    }
    return {
        package require iocpsock
        rename ::socket ::stock_socket
        rename ::socket2 ::socket
    }
}

# The first value for Tcl 8.6, the second for Tcl 9.
proc by_version {tcl8 tcl9} {
    expr {[string match 8.* [info tclversion]] ? $tcl8 : $tcl9}
}

# How the version puts POSIX errors into words.
set ENOTCONN [by_version "socket is not connected" "transport endpoint is not connected"]
set ESHUTDOWN [by_version "cannot send after socket shutdown" "cannot send after transport endpoint shutdown"]
set EBUSY [by_version "file busy" "device or resource busy"]

# Waits, in the event loop, until the global variable exists and the condition (seen from the global level)
# holds; woken by each write of the variable. Returns its value.
proc await {name {condition 1}} {
    set woken ::harness::woken[incr ::harness::wakeups]
    set wake [list apply [list args [list set $woken written]]]
    trace add variable ::$name write $wake
    set deadline [expr {[clock milliseconds] + $::patience}]
    set timer [after $::patience [list set $woken expired]]
    try {
        while {![info exists ::$name] || ![uplevel #0 [list expr $condition]]} {
            vwait $woken
            # An event that only the timer brought to light comes too late as well.
            if {[clock milliseconds] >= $deadline} {
                set wish [expr {$condition eq "1" ? "to be set" : "to meet $condition"}]
                error "waited $::patience ms for $name $wish"
            }
        }
        return [set ::$name]
    } finally {
        after cancel $timer
        trace remove variable ::$name write $wake
        unset -nocomplain $woken
    }
}

# Runs the events that are due within the time: for scenarios that show that something does not happen.
proc run_events {milliseconds} {
    after $milliseconds {set ::harness::elapsed 1}
    vwait ::harness::elapsed
}

proc harness::record_background_error {message options} {
    lappend ::harness::background $message
    # A scenario that waits for one waits for this variable.
    set ::background_error $message
}

# The background errors since the last call.
proc background_errors {} {
    set errors $::harness::background
    set ::harness::background {}
    return $errors
}

proc port_of {server} {
    lindex [chan configure $server -sockname] 2
}

# A listener on a free port of the loopback address.
proc listen {callback args} {
    socket -server $callback -myaddr $::localhost {*}$args 0
}

proc ignore args {}

# A connected pair {client accepted} with no listener left; both are binary and non-blocking.
proc connected_pair {{client_command socket} {server_command socket}} {
    unset -nocomplain ::accepted_channel
    set server [$server_command -server {apply {{channel address port} {set ::accepted_channel $channel}}} \
        -myaddr $::localhost 0]
    set client [$client_command $::localhost [port_of $server]]
    set accepted [await accepted_channel]
    close $server
    foreach channel [list $client $accepted] {
        chan configure $channel -blocking 0 -translation binary
    }
    return [list $client $accepted]
}

proc close_all args {
    foreach channel $args {
        if {$channel in [file channels]} {
            close $channel
        }
    }
}

# A port of the loopback address on which nobody listens: tcpmux, which the system hands out to nobody else in
# the meantime.
proc unused_port {} {
    return 1
}

# A port of the loopback address that can be bound: one of those that no system hands out, so that nobody is
# given it meanwhile.
proc free_port {} {
    while 1 {
        set port [expr {20000 + int(10000 * rand())}]
        if {![catch {stock_socket -server ignore -myaddr $::localhost $port} server]} {
            close $server
            return $port
        }
    }
}

proc has_loopback {address} {
    if {[catch {stock_socket -server ignore -myaddr $address 0} server]} {
        return 0
    }
    close $server
    return 1
}

# Is this Wine? Asked only where a test of the stock socket cannot pass there.
proc under_wine {} {
    file exists [file join $::env(SystemRoot) system32 winecfg.exe]
}

# Is `localhost` a name of the address? Another program may listen on the same port of another of its
# addresses.
proc connects_to_localhost {address} {
    if {[catch {stock_socket -server ignore -myaddr $address 0} server]} {
        return 0
    }
    set reached ""
    if {![catch {stock_socket localhost [port_of $server]} client]} {
        set reached [lindex [chan configure $client -peername] 0]
        close $client
    }
    close $server
    return [expr {$reached eq $address}]
}

# Bytes in which every position differs from its neighbours, so that a lost, doubled or moved byte changes the
# checksum.
proc payload {size {seed 1}} {
    set words [expr {$size / 4 + 1}]
    set values {}
    for {set i 0} {$i < $words} {incr i} {
        lappend values [set seed [expr {($seed * 1664525 + 1013904223) & 0xffffffff}]]
    }
    string range [binary format i* $values] 0 $size-1
}

# `LENGTH bytes, CRC` of binary data, short enough for a result.
proc digest {data} {
    format "%d bytes, crc %08x" [string length $data] [zlib crc32 $data]
}

# Reads from a non-blocking channel, in the event loop, until it ends; returns the data.
proc read_to_end {channel} {
    set ::collected($channel) ""
    chan event $channel readable [list collect $channel]
    await ended($channel)
    set data $::collected($channel)
    unset ::ended($channel) ::collected($channel)
    return $data
}

proc collect {channel} {
    append ::collected($channel) [read $channel]
    if {[eof $channel]} {
        chan event $channel readable {}
        set ::ended($channel) 1
    }
}

# Sends the data both ways over each pair of channels at once: for each end whether it got all of it, and for
# each pair whether its second end then sees the end of the stream. (Not for both at a time: when both ends of
# a stream have been shut down, Wine 8 ends all receives but the oldest, with bytes still to come, so that
# more than one at a time may lose them.)
proc exchange {data args} {
    set size [string length $data]
    set ::exchanged 0
    foreach channel [concat {*}$args] {
        set ::received($channel) ""
        chan event $channel readable [list apply {{channel size} {
            append ::received($channel) [read $channel]
            if {[string length $::received($channel)] >= $size || [eof $channel]} {
                chan event $channel readable {}
                incr ::exchanged
            }
        }} $channel $size]
        puts -nonewline $channel $data
        flush $channel
    }
    await exchanged "\$::exchanged == [expr {2 * [llength $args]}]"
    concat [lmap channel [concat {*}$args] {
        string equal [digest $::received($channel)] [digest $data]
    }] [lmap pair $args {
        chan close [lindex $pair 0] write
        string equal [read_line [lindex $pair 1]] "(end of file)"
    }]
}

# Reads the next line from a non-blocking channel in the event loop.
proc read_line {channel} {
    unset -nocomplain ::next_line
    chan event $channel readable [list collect_line $channel]
    set line [await next_line]
    chan event $channel readable {}
    return $line
}

proc collect_line {channel} {
    if {[chan gets $channel line] >= 0} {
        set ::next_line $line
    } elseif {[chan eof $channel]} {
        set ::next_line "(end of file)"
    }
}

# The channel is readable or writable, as an event says.
proc await_event {channel what} {
    chan event $channel $what [list set ::event_seen($channel,$what) 1]
    await event_seen($channel,$what)
    chan event $channel $what {}
    unset ::event_seen($channel,$what)
}

# Starts a child process that evaluates the script with the same `socket`, or that of another implementation;
# returns the pipe to it.
proc start_child {script {implementation ""}} {
    variable ::harness::directory
    if {$implementation eq ""} {
        set implementation $::harness::implementation
    }
    set child [file join $directory child.tcl]
    set pipe [open |[list [info nameofexecutable] $child $implementation 2>@stderr] r+]
    chan configure $pipe -blocking 0 -buffering line -translation lf -encoding utf-8
    puts $pipe [string length $script]
    puts -nonewline $pipe $script
    flush $pipe
    return $pipe
}

# Waits for the child to end after its last line `exiting`; returns the milliseconds from that line to its
# end. A child that does not end is ended, and that is an error.
proc await_exit {pipe} {
    set line [read_line $pipe]
    if {$line ne "exiting"} {
        end_child $pipe
        error "the child said \"$line\", not \"exiting\""
    }
    set start [clock milliseconds]
    if {[catch {read_to_end $pipe} rest]} {
        end_child $pipe
        error "the child does not exit: $rest"
    }
    chan configure $pipe -blocking 1
    close $pipe
    return [expr {[clock milliseconds] - $start}]
}

proc end_child {pipe} {
    try {
        exec taskkill /F /PID [lindex [pid $pipe] 0]
    } on error {message options} {
        # 128: it has ended by itself
        if {[lindex [dict get $options -errorcode] 2] != 128} {
            return -options $options $message
        }
    }
    catch {close $pipe}
}
