# trace.tcl: what a sequence leaves behind: results, errors with their codes, and what events brought, made
# comparable.

set control [socket 127.0.0.1 $controlPort]
fconfigure $control -buffering line -translation lf
proc puppet {args} {
    puts $::control $args
    if {[gets $::control line] < 0} {error "the puppet is gone"}
    return $line
}

# ---------------------------------------------------------------- the trace

proc masked {text} {
    foreach {role channel} [array get ::chan] {
        if {$channel ne ""} {lappend map $channel <$role>}
    }
    if {[info exists map]} {set text [string map $map $text]}
    regsub -all {sock[0-9a-fA-F]{6,}} $text <sock> text
    regsub -all {file[0-9a-fA-F]{5,}} $text <file> text
    regsub -all {\y[3-6][0-9]{4}\y} $text "<port>" text       ;# the ports that the system gives
    foreach {name where pattern replacement reason} $::known {
        if {$where eq "text"} {regsub -all -- $pattern $text $replacement text}
    }
    return $text
}
# Data in a trace: itself where it is short, else its length, its beginning, and a checksum that both
# versions can make.
proc shown {data} {
    set out ""
    foreach c [split [string range $data 0 59] ""] {
        scan $c %c code
        append out [expr {$code < 32 || $code > 126 || $c eq "\\" ? [format {\u%04x} $code] : $c}]
    }
    if {[string length $data] <= 60} {return "\"$out\""}
    set plain [string map {\u0000 \u0001} [regsub -all {[\ud800-\udfff]} $data ?]]
    return "[string length $data]:[string range $out 0 20]..[zlib crc32 [encoding convertto utf-8 $plain]]"
}
proc note {text} {lappend ::trace $text}

# Runs a script and notes what comes of it; the words in `what` tell the reader which operation it was.
proc attempt {what script {show masked}} {
    set code [catch {uplevel #0 $script} result options]
    if {$code == 1} {
        set result "error {[masked $result]} [masked [dict get $options -errorcode]]"
    } else {
        set result [$show $result]
    }
    set line "$what -> $result"
    foreach {name where pattern replacement reason} $::known {
        if {$where eq "result"} {regsub -- $pattern $line $replacement line}
    }
    note $line
    return $code
}

proc bgerror_note {message options} {
    lappend ::news(bgerror) "[masked $message] [masked [dict get $options -errorcode]]"
    incr ::changes
}
interp bgerror {} bgerror_note

# Whether a reset takes bytes that have arrived and that the program has not received. On Windows it may, on
# Wine 10 it does, on Linux and Wine 8 it never does.
proc takes_unread {} {
    for {set i 0} {$i < 3} {incr i} {
        set channel [socket 127.0.0.1 $::puppetPort]
        set port [lindex [fconfigure $channel -sockname] 2]
        puppet accept $port
        puppet send $port 78
        puppet reset $port
        after 100 {set ::woken 1}
        vwait ::woken
        set data [read $channel]
        close $channel
        if {$data eq ""} {return 1}
    }
    return 0
}
# Before a reset that would take it: the program receives what the puppet has sent.
proc receive_all {} {
    if {!$::takes} return
    settle 1
    foreach role [array names ::puppet] {
        if {[live $role]} {drain $role}
    }
}
# The puppet does what it was told to do later.
proc do_later {} {
    set received {}
    while {[puppet now {*}$received] eq "reset"} {
        receive_all
        set received received
    }
}

# Runs a script that may have to wait for the puppet, which is told: whether it took a strike to end it is
# noted.
proc waiting {role script} {
    if {![info exists ::puppet($role)]} {return [uplevel 1 $script]}
    puppet wait
    set code [catch {uplevel 1 $script} result options]
    if {[puppet waited] eq "struck"} {news $role.waited struck}
    return -code $code -options $options $result
}

# Lets things happen until nothing changes any more, and notes what came by events. A look that comes late
# does not count: the machine is busy, and others may be late too. `keep`: what the puppet does later stays
# for a call that waits.
proc settle {{keep 0}} {
    if {!$keep} {do_later}
    lassign {0 0} still looks
    set before $::changes
    set deadline [expr {[clock milliseconds] + 60000}]
    while {$still < $::quiet || [connecting] && $looks < 1000} {
        set start [clock milliseconds]
        after $::tick {set ::woken 1}
        vwait ::woken
        set late [expr {[clock milliseconds] - $start > 2 * $::tick + 2}]
        if {$::changes != $before} {
            set still 0
            set before $::changes
        } elseif {!$late || $looks > 12} {
            incr still
        }
        incr looks
        if {[clock milliseconds] > $deadline} {note "events do not end"; break}
    }
    foreach key [lsort [array names ::news]] {
        if {$key eq "bgerror"} {
            note "  bgerror [lsort $::news(bgerror)]"
        } elseif {[string match *.data $key]} {
            set role [lindex [split $key .] 0]
            set flags ""
            catch {set flags "eof [eof $::chan($role)]"}
            note "  $key [shown $::news($key)] $flags"
        } else {
            note "  $key $::news($key)"
        }
    }
    array unset ::news
}
proc news {key args} {
    incr ::changes
    lappend ::news($key) {*}$args
}
