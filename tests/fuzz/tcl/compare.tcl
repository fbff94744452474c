# compare.tcl: runs a sequence with both drivers, compares the traces, and shrinks a sequence whose traces
# differ.

# Whether it may have to wait, so that what the puppet does later is to be done then.
proc waits {operation} {
    lassign $operation verb role
    return [expr {$verb in {gets read copy} && [live $role]
            && ![catch {fconfigure $::chan($role) -blocking} blocking] && $blocking}]
}

proc execute {driver sequence} {
    set ::driver $driver
    set ::trace {}
    set ::changes 0
    set ::depth 0
    foreach a {chan port puppet silent gone news fired had came connects refused} {
        array unset ::$a
        array set ::$a {}
    }
    foreach role {c s c2 s2 srv f g pr pw} {set ::chan($role) ""}
    foreach operation $sequence {
        incr ::operations
        puts "@ $::seed $driver [string range [oneline $operation] 0 150]"
        lassign $operation verb
        if {$verb in {gets read flags pending ask events names filesize copy}} {settle [waits $operation]}
        if {[catch {op_$verb {*}[lrange $operation 1 end]} message options]} {
            note "$operation: failed: [masked $message] [masked [dict get $options -errorcode]]"
            if {$::debug} {puts [dict get $options -errorinfo]}
        }
    }
    settle
    note "at the end"
    foreach role {c s c2 s2} {
        if {[live $role]} {
            flags $role
            attempt "ask $role -error" [list fconfigure $::chan($role) -error]
        }
    }
    # The end of everything, not traced.
    catch {interp delete child}
    puppet dropall
    foreach channel [file channels] {
        if {$channel ne $::control && ![string match std* $channel]} {
            catch {fconfigure $channel -blocking 0}
            catch {close $channel}
        }
    }
    foreach timer [after info] {after cancel $timer}
    # A background error waits for an idle moment, which events without end do not leave.
    update idletasks
    array unset ::news
    foreach f [glob -nocomplain $::scratch.*] {file delete $f}
    if {$driver eq "ours" && $::planted} {
        set ::trace [lmap line $::trace {string map {{eof 1} {eof 0}} $line}]
    }
    if {$driver eq "ours"} {
        set deadline [expr {[clock milliseconds] + 30000}]
        while 1 {
            set stats [iocpsock::stats]
            set live {}
            foreach name {connections_live listeners_live operations_live lookups_live} {
                if {[dict get $stats $name]} {lappend live $name [dict get $stats $name]}
            }
            if {$live eq ""} break
            if {[clock milliseconds] > $deadline} {lappend ::trace "LEAK $live"; break}
            after 5 {set ::woken 1}; vwait ::woken
        }
    } else {
        after 2 {set ::woken 1}; vwait ::woken
    }
    return $::trace
}

# Executes a sequence with both drivers: {same|differ stock ours}. When it is repeated it goes slowly.
proc compare {sequence {slow 0}} {
    lassign [expr {$slow ? {20 4} : {3 3}}] ::tick ::quiet
    set stock [execute stock $sequence]
    set ours [execute ours $sequence]
    return [list [expr {$stock eq $ours ? "same" : "differ"}] $stock $ours]
}

# Repeats a sequence that differed: {times stock ours} of the difference that comes most often, or 1 and
# what there was. Ours need not differ each time to be at fault: twice in the same way is enough. But where
# the stock driver has now this result and now ours, nothing is told of ours.
proc recurring {sequence stock ours} {
    set stocks {}
    for {set i 0} {$i < $::repeats} {incr i} {
        lassign [compare $sequence 1] verdict a b
        lappend stocks $a
        if {$verdict eq "differ"} {
            set k [kind $a $b]
            set seen($k) [list [expr {[info exists seen($k)] ? [lindex $seen($k) 0] + 1 : 1}] $a $b]
        }
    }
    set found [list 1 $stock $ours]
    foreach {k candidate} [array get seen] {
        if {[lindex $candidate 0] > [lindex $found 0]} {set found $candidate}
    }
    lassign [difference {*}[lrange $found 1 2]] a b line
    foreach trace $stocks {
        if {[lindex $trace $line] eq $b} {return [list 1 $stock $ours]}
    }
    return $found
}

# The first lines in which two traces differ, and which lines these are.
proc difference {stock ours} {
    set n [expr {max([llength $stock], [llength $ours])}]
    for {set i 0} {$i < $n} {incr i} {
        if {[lindex $stock $i] ne [lindex $ours $i]} {
            return [list [lindex $stock $i] [lindex $ours $i] $i]
        }
    }
}

# The kind of a difference: the operation and both results with numbers and data taken out, by which
# findings are grouped.
proc kind {stock ours} {
    lassign [difference $stock $ours] a b
    foreach v {a b} {
        regsub -all {"[^"]*"} [set $v] {""} $v
        regsub -all {\y(c|s|c2|s2)\y} [set $v] X $v
        regsub -all {[0-9]+} [set $v] N $v
    }
    return [list $a $b]
}

# Drops operations as long as the difference stays; first in big pieces, then one by one.
proc minimise {sequence wanted} {
    set size [expr {[llength $sequence] / 2}]
    while {$size >= 1} {
        set i 0
        while {$i < [llength $sequence]} {
            set fewer [lreplace $sequence $i [expr {$i + $size - 1}]]
            set outcome [compare $fewer 1]
            if {[lindex $outcome 0] eq "differ" && [kind {*}[lrange $outcome 1 2]] eq $wanted} {
                set sequence $fewer
            } else {
                incr i $size
            }
        }
        set size [expr {$size / 2}]
    }
    return $sequence
}
