# compare.tcl: runs a sequence with both drivers, compares the traces, and shrinks a sequence whose traces differ.

proc execute {driver sequence} {
    set ::driver $driver
    set ::trace {}
    set ::changes 0
    set ::depth 0
    foreach a {chan port puppet silent async gone news fired} {array unset ::$a; array set ::$a {}}
    foreach role {c s c2 s2 srv f g pr pw} {set ::chan($role) ""}
    foreach operation $sequence {
        incr ::operations
        puts "@ $::seed $driver [string range [oneline $operation] 0 150]"
        lassign $operation verb
        if {$verb in {gets read flags pending ask events names filesize copy}} settle
        if {[catch {op_$verb {*}[lrange $operation 1 end]} message options]} {
            note "$operation: failed: [masked $message] [masked [dict get $options -errorcode]]"
            if {$::debug} {puts [dict get $options -errorinfo]}
        }
    }
    settle
    foreach role {c s c2 s2} {
        if {[live $role]} {
            attempt "at the end: flags $role" "list eof \[eof $::chan($role)\] blocked \[fblocked $::chan($role)\]"
            attempt "at the end: error $role" [list fconfigure $::chan($role) -error]
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
    array unset ::news
    foreach f [glob -nocomplain $::scratch.*] {file delete $f}
    if {$driver eq "ours" && $::planted} {set ::trace [lmap line $::trace {string map {{eof 1} {eof 0}} $line}]}
    if {$driver eq "ours"} {
        set deadline [expr {[clock milliseconds] + 5000}]
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

# Executes a sequence with both drivers; with `times` > 1 also whether each agrees with itself. {verdict stock ours}:
# same, differ, or unsteady.
proc compare {sequence {times 1} {slow 0}} {
    set ::tick 2; set ::quiet 3
    if {$slow} {set ::tick 12; set ::quiet 4}
    for {set i 0} {$i < $times} {incr i} {
        set stock($i) [execute stock $sequence]
        set ours($i) [execute ours $sequence]
        if {$stock($i) eq $ours($i)} {return [list same $stock($i) $ours($i)]}
        if {$stock($i) ne $stock(0) || $ours($i) ne $ours(0)} {
            return [list [expr {$stock($i) ne $stock(0) ? "unsteady-stock" : "unsteady-ours"}] $stock(0) $ours(0)]
        }
    }
    return [list differ $stock(0) $ours(0)]
}

# The first lines in which two traces differ.
proc difference {stock ours} {
    set n [expr {max([llength $stock], [llength $ours])}]
    for {set i 0} {$i < $n} {incr i} {
        if {[lindex $stock $i] ne [lindex $ours $i]} {
            return [list [lindex $stock $i] [lindex $ours $i]]
        }
    }
}

# The kind of a difference: the operation and both results with numbers and data taken out, by which findings are grouped.
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
            set outcome [compare $fewer 1 1]
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
