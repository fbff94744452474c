# sockets.tcl - the scenarios in Tcl, with the stock command or with ours.
#
#     tclsh sockets.tcl socket|socket2 SCENARIO NAME VALUE...
#
# benchmarks/README.md tells what the scenarios are, which values they take, and what is printed. Every
# scenario runs in one interpreter's event loop, both ends of it; of `burst`, `idle` and `http` only the
# server is here. Blocking channels need two threads or processes: the sender of `stream mode blocking` is a
# child, which is this file again.

package require Tcl 8.6-

set command [lindex $argv 0]
set scenario [lindex $argv 1]
array set value {size 64 connections 1 mode event count 0 wave 0 limit 0 warm 0 seconds 1 port 0}
array set value [lrange $argv 2 end]
if {$command eq "socket2"} {package require iocpsock}

# An error in an event would leave us waiting for what never comes.
interp bgerror {} {apply {{message options} {
    puts stderr [dict get $options -errorinfo]
    exit 1
}}}

proc say {event args} {
    set fields [list "\"event\": \"$event\""]
    foreach {name number} $args {lappend fields "\"$name\": $number"}
    puts "{[join $fields {, }]}"
    flush stdout
}

proc listen {accept} {
    variable command
    variable listener [$command -server $accept -myaddr 127.0.0.1 0]
    return [lindex [chan configure $listener -sockname] 2]
}

# ---------------------------------------------------------------- the clock, in microseconds

proc start_clock {warm} {
    variable measuring 0
    variable begun [expr {[clock microseconds] + int($warm * 1e6)}]
}

# A stream has no warm-up: it counts from its first byte.
proc start_stream {} {
    start_clock 0
    counts [clock microseconds]
}

# Whether what was done just now counts. The first moment that does is announced.
proc counts {time} {
    variable value
    variable measuring
    variable begun
    variable end
    if {!$measuring && $time >= $begun} {
        set measuring 1
        set begun $time
        set end [expr {$time + int($value(seconds) * 1e6)}]
        say begin
        return 0
    }
    return $measuring
}

proc over {time done} {
    variable value
    variable end
    return [expr {$value(limit) ? $done >= $value(limit) : $time >= $end}]
}

proc elapsed {} {
    variable begun
    variable ended
    return [format %.6f [expr {($ended - $begun) / 1e6}]]
}

# ---------------------------------------------------------------- echo

proc echo_accept {channel address port} {
    chan configure $channel -blocking 0 -buffering none -translation binary
    chan event $channel readable [list echo_back $channel]
}

proc echo_back {channel} {
    set data [read $channel]
    if {[eof $channel]} {close $channel; return}
    puts -nonewline $channel $data
}

proc trip_start {channel} {
    variable message
    variable started
    variable got
    set got($channel) 0
    set started($channel) [clock microseconds]
    puts -nonewline $channel $message
}

proc trip_read {channel} {
    variable value
    variable got
    variable started
    variable latencies
    variable trips
    variable ended
    if {[incr got($channel) [string length [read $channel]]] < $value(size)} {return}
    set time [clock microseconds]
    if {[counts $time]} {
        lappend latencies [expr {$time - $started($channel)}]
        if {[over $time [incr trips]]} {
            set ended $time
            return
        }
    }
    trip_start $channel
}

proc echo {} {
    variable value
    variable command
    variable trips 0
    variable latencies {}
    variable message [string repeat x $value(size)]
    set port [listen echo_accept]
    set channels {}
    for {set i 0} {$i < $value(connections)} {incr i} {
        set channel [$command 127.0.0.1 $port]
        chan configure $channel -blocking 0 -buffering none -translation binary
        chan event $channel readable [list trip_read $channel]
        lappend channels $channel
    }
    start_clock $value(warm)
    foreach channel $channels {trip_start $channel}
    vwait ended
    say end
    say result trips $trips seconds [elapsed] latencies \[[join $latencies ,]\]
}

# ---------------------------------------------------------------- stream: one way, until the sender has had
# its time

proc stream_accept {channel address port} {
    chan configure $channel -blocking 0 -buffersize 65536 -translation binary
    chan event $channel readable [list stream_read $channel]
}

proc stream_read {channel} {
    variable total
    variable ended
    incr total [string length [read $channel 65536]]
    if {[eof $channel]} {
        close $channel
        set ended [clock microseconds]
    }
}

proc stream_write {channel} {
    variable value
    variable message
    variable written
    puts -nonewline $channel $message
    if {[over [clock microseconds] [incr written]]} {
        chan event $channel writable {}
        close $channel
    }
}

proc stream_sender {port} {
    variable value
    variable command
    variable message [string repeat x $value(size)]
    variable written 0
    set channel [$command 127.0.0.1 $port]
    chan configure $channel -blocking [expr {$value(mode) eq "blocking"}] -translation binary -buffering full -buffersize $value(size)
    return $channel
}

proc stream {} {
    variable value
    variable total 0
    if {$value(mode) eq "blocking"} {return [stream_blocking]}
    set channel [stream_sender [listen stream_accept]]
    start_stream
    chan event $channel writable [list stream_write $channel]
    vwait ended
    say end
    say result bytes $total seconds [elapsed]
}

# The receiver's process; the sender's is a child, which begins when it is told to.
proc stream_blocking {} {
    variable command
    variable total
    variable begun
    variable ended
    set port [listen {apply {{channel address port} {set ::accepted $channel}}}]
    set child [open |[list [info nameofexecutable] [info script] $command sender {*}[array get ::value] port $port] r+]
    vwait ::accepted
    chan configure $::accepted -blocking 1 -buffersize 65536 -translation binary
    gets $child
    start_stream
    puts $child go
    flush $child
    while {![eof $::accepted]} {incr total [string length [read $::accepted 65536]]}
    set ended [clock microseconds]
    say end
    say result bytes $total seconds [elapsed]
    close $child
}

proc sender {} {
    variable value
    variable message
    variable measuring
    variable end
    set channel [stream_sender $value(port)]
    puts ready
    flush stdout
    gets stdin
    set end [expr {[clock microseconds] + int($value(seconds) * 1e6)}]
    set written 0
    while {![over [clock microseconds] $written]} {
        puts -nonewline $channel $message
        incr written
    }
    close $channel
}

# ---------------------------------------------------------------- connect: one after the other, the server
# closes first

proc life {} {
    variable command
    variable port
    set channel [$command 127.0.0.1 $port]
    chan configure $channel -blocking 0
    chan event $channel readable [list life_over $channel]
}

proc life_over {channel} {
    variable trips
    variable ended
    read $channel
    if {![eof $channel]} {return}
    close $channel
    set time [clock microseconds]
    if {[counts $time] && [over $time [incr trips]]} {
        set ended $time
    } else {
        life
    }
}

proc connect {} {
    variable value
    variable trips 0
    variable port [listen {apply {{channel address port} {close $channel}}}]
    start_clock $value(warm)
    life
    vwait ended
    say result trips $trips seconds [elapsed]
}

# ---------------------------------------------------------------- burst, idle and http: the client is another
# program

proc guest_accept {channel address port} {
    variable value
    variable accepted
    variable here
    incr here
    chan configure $channel -blocking 0
    chan event $channel readable [list guest_gone $channel]
    if {[incr accepted] == $value(count)} {
        say result
    } elseif {$value(wave) && $accepted % $value(wave) == 0} {
        say accepted
    }
}

proc guest_gone {channel} {
    variable here
    read $channel
    if {[eof $channel]} {
        close $channel
        if {[incr here -1] == 0} {say gone}
    }
}

proc burst {} {
    variable accepted 0
    variable here 0
    say listening port [listen guest_accept] pid [pid]
    vwait forever
}

proc idle {} {
    burst
}

proc http {} {
    variable value
    source [file join [file dirname [info script]] .. examples httpd.tcl]
    set httpd::root $value(root)
    say listening port [listen httpd::accept]
    vwait forever
}

if {$scenario ni {echo stream sender connect burst idle http}} {
    puts stderr "sockets.tcl: the scenarios are echo, stream, connect, burst, idle and http"
    exit 2
}
$scenario
exit
