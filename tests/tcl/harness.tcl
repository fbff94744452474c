# harness.tcl: runs one scenario file against one implementation of the socket command, in a process without
# Python.
#
#     tclsh harness.tcl stock|socket2 FILE ?TEST ...?
#
# The scenario calls `socket`. With `socket2` that is the command of package iocpsock. The stock command is
# `stock_socket` in both cases. Without TEST all tests run. conftest.py reads the report from stdout: the
# output of a test is between its `@@ start` line and its verdict, and `@@ end` says that the file ran to its
# end.
#
#     @@ start NAME
#     @@ passed NAME  |  @@ failed NAME  |  @@ skipped NAME REASON
#     @@ end
#
# Runs on the main thread. After each test it checks that nothing is left: no channel, no interpreter, no
# background error that the test did not consume, and, for socket2, no live object of the engine.

package require tcltest 2.5
source [file join [file dirname [file normalize [info script]]] support.tcl]

namespace eval harness {
    variable implementation
    variable selected
    variable reasons [dict create]
    # Closing goes on in the background: what is live must be gone within this many milliseconds.
    variable settle_limit 5000
    # What earlier tests left, so that each leak is the complaint of one test.
    variable leaked [dict create]
}

proc harness::report {verdict args} {
    puts "@@ [join [list $verdict {*}$args]]"
    flush stdout
}

# A named condition with the reason that is given when a test is skipped because it does not hold.
proc constraint {name holds reason} {
    tcltest::testConstraint $name $holds
    dict set ::harness::reasons $name $reason
}

# One tcltest test with a start line, a verdict, and nothing left behind.
proc test {name description args} {
    if {[llength $::harness::selected] && $name ni $::harness::selected} {
        return
    }
    harness::report start $name
    set globals [info globals]
    set channels [file channels]
    set before [array get tcltest::numTests]
    uplevel #0 [list tcltest::test $name $description {*}$args]
    array set after [array get tcltest::numTests]
    set skipped [expr {$after(Skipped) > [dict get $before Skipped]}]
    set passed [expr {$after(Passed) > [dict get $before Passed]}]
    set left [harness::clean_up $channels $globals]
    foreach complaint $left {
        puts "---- $name: $complaint"
    }
    if {$skipped} {
        harness::report skipped $name [harness::skip_reason $args]
    } elseif {$passed && ![llength $left]} {
        harness::report passed $name
    } else {
        harness::report failed $name
    }
}

# The same test over IPv4 and over IPv6, as NAME-inet and NAME-inet6: `$localhost` is the loopback address of
# the family.
proc family_test {name description args} {
    foreach {::family ::localhost} {inet 127.0.0.1 inet6 ::1} {
        set constraints [list {*}[expr {
            [dict exists $args -constraints] ? [dict get $args -constraints] : ""
        }] $::family]
        test $name-$::family $description {*}[dict replace $args -constraints $constraints]
    }
    set ::localhost 127.0.0.1
}

proc harness::skip_reason {test_arguments} {
    variable reasons
    set missing {}
    foreach name [dict get $test_arguments -constraints] {
        if {![tcltest::testConstraint $name]} {
            lappend missing [expr {[dict exists $reasons $name] ? [dict get $reasons $name] : $name}]
        }
    }
    return [join $missing "; "]
}

# Removes what the test left and returns a list of complaints about it.
proc harness::clean_up {channels globals} {
    set complaints {}
    foreach channel [file channels] {
        if {$channel ni $channels} {
            lappend complaints "channel $channel is still open"
            if {[catch {chan configure $channel -blocking 0; close $channel} message]} {
                lappend complaints "channel $channel cannot be closed: $message"
            }
        }
    }
    foreach child [interp slaves] {
        lappend complaints "interpreter $child still exists"
        interp delete $child
    }
    # Background errors are delivered when the event loop is idle.
    update idletasks
    foreach timer [after info] {
        after cancel $timer
    }
    foreach message [background_errors] {
        lappend complaints "background error: $message"
    }
    lappend complaints {*}[harness::live_objects]
    foreach name [info globals] {
        if {$name ni $globals} {
            unset -nocomplain ::$name
        }
    }
    return $complaints
}

# The engine's live counters that do not come back to zero, each as a complaint.
proc harness::live_objects {} {
    variable implementation
    variable settle_limit
    variable leaked
    variable tick
    if {$implementation ne "socket2"} {
        return {}
    }
    set deadline [expr {[clock milliseconds] + $settle_limit}]
    while {[llength [set live [harness::live_counters]]] && [clock milliseconds] < $deadline} {
        after 10 {set ::harness::tick 1}
        vwait ::harness::tick
    }
    return [lmap {name count} $live {
        dict incr leaked $name $count
        string cat "counter $name is $count after $settle_limit ms"
    }]
}

# The live counters that are not zero, without what is known to have leaked.
proc harness::live_counters {} {
    variable leaked
    set live {}
    dict for {name count} [iocpsock::stats] {
        if {[dict exists $leaked $name]} {
            incr count -[dict get $leaked $name]
        }
        if {[string match *_live $name] && $count != 0} {
            lappend live $name $count
        }
    }
    return $live
}

proc harness::run {chosen file names} {
    variable implementation $chosen
    variable selected $names
    chan configure stdout -buffering line -translation lf -encoding utf-8
    chan configure stderr -buffering line -translation lf -encoding utf-8
    interp bgerror {} harness::record_background_error
    tcltest::configure -verbose {body error skip} -singleproc 1
    eval [implementation_script]
    constraint inet [has_loopback 127.0.0.1] "no IPv4 loopback on this machine"
    constraint inet6 [has_loopback ::1] "no IPv6 loopback on this machine"
    constraint localhost6 [connects_to_localhost ::1] "localhost is no name of ::1 on this machine"
    constraint tcl8 [string match 8.* [info tclversion]] "behaviour of Tcl 8.6"
    constraint tcl9 [string match 9.* [info tclversion]] "behaviour of Tcl 9"
    # Wine 8 tells a stock channel no more that it is writable once the peer has closed its writing side.
    constraint writableAfterEnd [expr {$chosen ne "stock" || ![under_wine]}] \
        "the stock socket under Wine hears of no room to write after the peer's half-close"
    # A listener in another thread than the interpreter that it calls: the stock one evaluates the script all
    # the same.
    constraint foreignListener [expr {$chosen eq "socket2"}] \
        "the stock listener calls an interpreter of another thread"
    # The stock drivers forget a connection that is made, or fails, while its channel is between two threads,
    # once in a while.
    constraint transferHeard [expr {$chosen eq "socket2"}] \
        "the stock driver may lose the news of a connection that changes threads"
    constraint exitDelivers [expr {$chosen eq "socket2"}] \
        "the stock drivers lose a part of what Tcl holds at exit, now and then"
    constraint outlivesReset [expr {$chosen eq "socket2"}] \
        "a reset may take what the stock command has not read"
    constraint taker [info exists ::env(IOCPSOCK_TAKER)] \
        "the extension taker.c is compiled by the cross compiler only"
    constraint engineSettings [expr {$chosen eq "socket2"}] "the stock sockets have no such settings"
    set ::localhost 127.0.0.1
    uplevel #0 [list source $file]
    harness::report end
}

if {[llength $argv] < 2 || [lindex $argv 0] ni {stock socket2}} {
    puts stderr "usage: tclsh harness.tcl stock|socket2 FILE ?TEST ...?"
    exit 2
}
harness::run [lindex $argv 0] [lindex $argv 1] [lrange $argv 2 end]
exit 0
