# scenario.tcl: one run through everything that the Tcl side does with the engine, and the judgement of how it
# went.
#
# A listener lives through all runs. In each run clients connect to it (by address and by name, waiting and
# -async), are echoed, close with output pending, with input unread and while they wait for input; others are
# refused. Every flow carries recognisable bytes. Whatever fault is injected meanwhile, afterwards: every end
# has finished, what arrived is a beginning of what was sent, whole or with a fault to blame; the listener
# still accepts; nothing is live that was not before.
#
# Owner: the interpreter's one thread. Needs the build with faults.

package require iocpsock

namespace eval scenario {
    variable patience 8000          ;# milliseconds for what must happen
    variable grace 300              ;# milliseconds for a peer that a fault may have kept from being accepted
    variable runs 0
    # id -> dictionary: kind, sent, received, client, server (waiting|open|done), errors
    variable flows
    variable listener
    variable port
    # tcpmux: a port of the loopback address on which nobody listens, and that nobody is handed
    variable refused 1
    variable base                   ;# what exists between runs
    variable changed 0
}

# Bytes in which every position differs from its neighbours.
proc scenario::payload {size seed} {
    set values {}
    for {set i 0} {$i <= $size / 4} {incr i} {
        lappend values [set seed [expr {($seed * 1664525 + 1013904223) & 0xffffffff}]]
    }
    string range [binary format i* $values] 0 $size-1
}

# Runs the event loop until the condition holds; false when the time is over.
proc scenario::await {milliseconds condition} {
    variable changed
    set deadline [expr {[clock milliseconds] + $milliseconds}]
    while {![uplevel 1 [list expr $condition]]} {
        if {[clock milliseconds] >= $deadline} {
            return 0
        }
        set timer [after 10 {incr ::scenario::changed}]
        vwait ::scenario::changed
        after cancel $timer
    }
    return 1
}

# --- the server's side

proc scenario::accepted {channel address port} {
    chan configure $channel -blocking 0 -translation binary -buffersize 65536
    chan event $channel readable [list scenario::greeted $channel ""]
}

# The first line says which flow this is, and what is to be done with it.
proc scenario::greeted {channel head} {
    variable flows
    if {[catch {read $channel [expr {20 - [string length $head]}]} data]} {
        return [finish_server $channel "" $data]
    }
    append head $data
    if {[string length $head] < 20 && ![eof $channel]} {
        chan event $channel readable [list scenario::greeted $channel $head]
        return
    }
    if {[scan $head "%s %d" kind id] != 2 || ![info exists flows($id)]} {
        return [finish_server $channel "" ""]
    }
    if {[dict get $flows($id) server] ne "waiting"} {
        dict lappend flows($id) complaints "accepted twice"
    }
    dict set flows($id) server open
    switch $kind {
        echo { chan event $channel readable [list scenario::echo $channel $id] }
        leave { chan event $channel readable [list scenario::sink $channel $id] }
        sink {
            chan event $channel readable {}
            after 10 [list scenario::start_sink $channel $id]
        }
        talk {
            if {[catch {puts -nonewline $channel [payload 5000 $id]; flush $channel} message]} {
                return [finish_server $channel $id $message]
            }
            chan event $channel readable [list scenario::sink $channel $id]
        }
    }
}

proc scenario::echo {channel id} {
    variable flows
    if {[catch {
        set data [read $channel]
        if {[info exists flows($id)]} {
            dict incr flows($id) heard [string length $data]
        }
        puts -nonewline $channel $data
        flush $channel
    } message]} {
        return [finish_server $channel $id $message]
    }
    if {[eof $channel]} {
        finish_server $channel $id ""
    }
}

proc scenario::start_sink {channel id} {
    chan event $channel readable [list scenario::sink $channel $id]
}

proc scenario::sink {channel id} {
    variable flows
    if {[catch {read $channel} data]} {
        return [finish_server $channel $id $data]
    }
    if {[info exists flows($id)]} {
        dict append flows($id) received $data
    }
    if {[eof $channel]} {
        finish_server $channel $id ""
    }
}

proc scenario::finish_server {channel id message} {
    variable flows
    variable changed
    if {$message eq ""} {
        catch {chan configure $channel -error} message
    }
    catch {close $channel}
    if {$id ne "" && [info exists flows($id)]} {
        note $id $message
        dict set flows($id) server done
    }
    incr changed
}

# --- the clients' side

proc scenario::note {id message} {
    variable flows
    if {$message ne ""} {
        dict lappend flows($id) errors $message
    }
}

proc scenario::start {kind size args} {
    variable flows
    variable flow_count
    set id [incr flow_count]
    set flows($id) [dict create kind $kind sent [payload $size $id] received "" heard 0 \
        client waiting server waiting errors {} complaints {}]
    if {[catch {socket2 {*}$args} channel]} {
        note $id $channel
        dict set flows($id) client done
        return
    }
    dict set flows($id) client open
    chan configure $channel -blocking 0 -translation binary -buffersize 65536
    chan event $channel writable [list scenario::connected $channel $id]
}

# Called once: the connection is there, or has failed.
proc scenario::connected {channel id} {
    variable flows
    chan event $channel writable {}
    set message [chan configure $channel -error]
    if {$message ne ""} {
        return [finish_client $channel $id $message]
    }
    catch {chan configure $channel -peername}
    set kind [dict get $flows($id) kind]
    set data [dict get $flows($id) sent]
    if {[catch {
        puts -nonewline $channel [format %-20s "$kind $id"]
        puts -nonewline $channel [string range $data 0 99]
        flush $channel
        puts -nonewline $channel [string range $data 100 end]
        flush $channel
        if {$kind eq "echo"} {
            close $channel write
        }
    } message]} {
        return [finish_client $channel $id $message]
    }
    switch $kind {
        echo { chan event $channel readable [list scenario::echoed $channel $id] }
        talk { chan event $channel readable [list scenario::finish_client $channel $id ""] }
        leave {
            chan event $channel readable [list scenario::echoed $channel $id]
            after 15 [list scenario::leave $channel $id]
        }
        default { finish_client $channel $id "" }
    }
}

proc scenario::echoed {channel id} {
    variable flows
    if {[catch {read $channel} data]} {
        return [finish_client $channel $id $data]
    }
    dict append flows($id) received $data
    if {[eof $channel]} {
        finish_client $channel $id ""
    }
}

# The client's time is over, unless it has ended before; then another one's channel may have its name.
proc scenario::leave {channel id} {
    variable flows
    if {[info exists flows($id)] && [dict get $flows($id) client] eq "open"} {
        finish_client $channel $id ""
    }
}

proc scenario::finish_client {channel id message} {
    variable flows
    variable changed
    if {$message eq ""} {
        set message [chan configure $channel -error]
    }
    note $id $message
    if {[catch {close $channel} message]} {
        note $id $message
    }
    if {[dict get $flows($id) client] eq "done"} {
        dict lappend flows($id) complaints "ended twice"
    }
    dict set flows($id) client done
    incr changed
}

# --- a run

# Makes the lasting listener, with these engine settings for it and what it accepts, and runs until all is
# warm.
proc scenario::prepare {args} {
    variable listener [socket2 -server scenario::accepted -myaddr 127.0.0.1 0]
    variable port [lindex [chan configure $listener -sockname] 2]
    chan configure $listener -acceptcount 4 {*}$args
    for {set i 0} {$i < 3} {incr i} {
        run
        after 20
    }
    rebase
    set complaints [run]
    rebase
    return $complaints
}

# How many calls of each name one run makes.
proc scenario::census {} {
    iocpsock::fault clear
    run
    dict map {call pair} [iocpsock::fault counts] {lindex $pair 0}
}

# One run, under whatever plans there are; the complaints about it. `fired` says whether a fault may be
# blamed.
proc scenario::run {{fired {expr {0}}}} {
    variable flows
    variable port
    variable refused
    variable patience
    variable grace
    variable runs
    incr runs
    array unset flows
    start echo 70000 127.0.0.1 $port
    start echo 3000 -async 127.0.0.1 $port
    start echo 500 -async localhost $port
    start refused 0 -async 127.0.0.1 $refused
    start refused 0 127.0.0.1 $refused
    start sink 400000 -async 127.0.0.1 $port
    start talk 200 127.0.0.1 $port
    start leave 300 127.0.0.1 $port
    listen_shortly
    set complaints {}
    if {![await $patience {![llength [ends client]]}]} {
        lappend complaints "hung: [describe]"
        close_others
        return $complaints
    }
    await [expr {[eval $fired] ? $grace : $patience}] {![llength [ends server]]}
    set blame [eval $fired]
    foreach id [array names flows] {
        foreach complaint [judge $flows($id) $blame] {
            lappend complaints "flow $id: $complaint"
        }
    }
    return $complaints
}

# Another listener, with its options, opened and closed.
proc scenario::listen_shortly {} {
    if {![catch {socket2 -server scenario::accepted 0} server]} {
        catch {chan configure $server -sockname}
        close $server
    }
}

# The flows of which this end has not finished. Those that never connected have no server's end.
proc scenario::ends {which} {
    variable flows
    set waiting {}
    foreach {id flow} [array get flows] {
        if {[dict get $flow $which] ne "done"
                && !($which eq "server" && [dict get $flow kind] eq "refused")} {
            lappend waiting $id
        }
    }
    return $waiting
}

proc scenario::judge {flow blame} {
    set complaints [dict get $flow complaints]
    set received [dict get $flow received]
    set sent [dict get $flow sent]
    set errors [dict get $flow errors]
    if {[dict get $flow kind] eq "refused"} {
        if {![llength $errors]} {
            lappend complaints "a refused connection was not reported"
        } elseif {[llength $errors] > 1} {
            lappend complaints "a refused connection was reported twice: $errors"
        }
        return $complaints
    }
    set count [string length $received]
    set whole [string length $sent]
    if {$received ne [string range $sent 0 $count-1]} {
        lappend complaints "received $count bytes that are not a beginning of what was sent"
    }
    if {$count < $whole && !$blame} {
        lappend complaints "received $count of $whole bytes, with no fault to blame;\
            the server heard [dict get $flow heard]: $errors"
    }
    if {[dict get $flow kind] eq "echo" && $count < $whole && ![llength $errors]} {
        incr ::scenario::silent
    }
    return $complaints
}

proc scenario::describe_channel {channel} {
    catch {chan configure $channel -error} error
    list $channel [chan event $channel readable] error $error unread [chan pending input $channel] \
        eof [chan eof $channel]
}

proc scenario::describe {} {
    variable flows
    join [lmap id [lsort -integer [ends client]] {
        set flow $flows($id)
        string cat "[dict get $flow kind] $id: " \
            "client [dict get $flow client], server [dict get $flow server], " \
            "[string length [dict get $flow received]] bytes, {[dict get $flow errors]}"
    }] "; "
}

proc scenario::others {} {
    variable listener
    lsearch -all -inline -exact -not [file channels sock*] $listener
}

proc scenario::close_others {} {
    foreach channel [others] {
        close $channel
    }
}

# --- after a run, with no plan any more

proc scenario::existing {} {
    set now [dict create]
    dict for {name count} [iocpsock::stats] {
        if {[string match *_live $name]} {
            dict set now $name $count
        }
    }
    dict set now blocks [iocpsock::memory blocks]
    dict set now handles [iocpsock::memory handles]
    return $now
}

proc scenario::rebase {} {
    variable base
    variable patience
    variable listener
    await $patience {[dict get [iocpsock::stats] connections_live] == 0}
    set base [existing]
    dict set base threads [dict get [iocpsock::stats] threads]
}

# What exists beyond the base. More threads bring more of everything with them.
proc scenario::excess {} {
    variable base
    set excess {}
    if {[dict get [iocpsock::stats] threads] != [dict get $base threads]} {
        return {}
    }
    dict for {name count} [existing] {
        if {$count > [dict get $base $name]} {
            lappend excess "$name $count, not [dict get $base $name]"
        } elseif {$count < [dict get $base $name] && $name in {listeners_live operations_live}} {
            lappend excess "$name $count, not [dict get $base $name]"
        }
    }
    return $excess
}

# The listener must still accept, and nothing may be left: complaints.
proc scenario::aftermath {} {
    variable flows
    variable port
    variable patience
    variable base
    array unset flows
    set complaints {}
    start echo 50 127.0.0.1 $port
    if {![await $patience {![llength [concat [ends client] [ends server]]]}]} {
        lappend complaints "the listener does not accept any more: [describe]"
    }
    foreach id [array names flows] {
        lappend complaints {*}[judge $flows($id) 0]
    }
    if {![await $patience {![llength [others]]}]} {
        lappend complaints "channels that nobody closed: [lmap channel [others] {describe_channel $channel}]"
        close_others
    }
    if {![await $patience {![llength [excess]]}]} {
        lappend complaints "left over: [join [excess] {, }]"
    }
    rebase
    return $complaints
}

set scenario::flow_count 0
set scenario::silent 0
