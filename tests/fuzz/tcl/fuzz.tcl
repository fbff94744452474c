# fuzz.tcl: random sequences of channel operations, with `socket` and with `socket2`, compared; started by
# tools/load/fuzz.py.
#
#     fuzz.tcl PUPPET-PORT CONTROL-PORT fuzz SEED SECONDS ?planted?
#     fuzz.tcl PUPPET-PORT CONTROL-PORT show SEED|OPERATIONS
#
# What may depend on chance is kept out of a trace: before an operation that observes there is a wait until
# nothing changes any more, what a reading handler gets is joined, events of a handler that does nothing are
# counted up to three. A sequence whose traces differ is repeated, more slowly. What differs in the same way
# twice is reported, after operations that do not matter have been dropped; what does not is told as `by
# chance`. `planted`: ends of streams are hidden from the traces of socket2, a fault that must be found.
# Runs on one thread; `@ SEED DRIVER OPERATION` is printed before each operation.

package require iocpsock
fconfigure stdout -buffering line -encoding utf-8
set tcl9 [string match 9* [info tclversion]]
lassign $argv puppetPort controlPort job seed seconds
set planted [expr {[lindex $argv 5] eq "planted"}]
set scratch [file join $env(TEMP) fuzz.[info tclversion].[pid].[clock microseconds]]
set driver stock
set tick 3          ;# milliseconds of one look at whether anything changes
set quiet 3         ;# looks without a change after which it is taken to be over
set endless 60      ;# events without anything new after which they are taken to be endless
set repeats 5       ;# of a sequence that differed
set operations 0
set debug 0
foreach part {known trace sockets handlers operations pressure elsewhere generate compare} {
    source [file join [file dirname [file normalize [info script]]] $part.tcl]
}
set takes [takes_unread]

# The lines of a finding.
proc tell {sequence stock ours} {
    foreach operation $sequence {puts "    [string range [oneline $operation] 0 200]"}
    lassign [difference $stock $ours] a b
    puts "        stock: $a\n        ours:  $b"
}

proc fuzz {seconds} {
    set first $::seed
    set deadline [expr {[clock seconds] + $seconds}]
    lassign {0 0} differ chance
    while {[clock seconds] < $deadline && !($::planted && $differ)} {
        set s [sequence $::seed 14]
        lassign [compare $s] verdict stock ours
        if {$verdict eq "differ"} {
            lassign [recurring $s $stock $ours] times stock ours
            if {$times > 1} {
                incr differ
                set kind [kind $stock $ours]
                puts "DIFFERENCE: seed $::seed, $times times"
                if {[incr seen($kind)] > 1} {
                    puts "    as before"
                } elseif {!$::planted} {
                    set m [minimise $s $kind]
                    tell $m {*}[lrange [compare $m 1] 1 2]
                }
            } else {
                incr chance
                puts "by chance: seed $::seed: [string range [oneline [difference $stock $ours]] 0 200]"
            }
        }
        incr ::seed
    }
    puts "[expr {$::seed - $first}] sequences, $::operations steps,\
        seeds $first to [expr {$::seed - 1}]: $differ differ, in [array size seen] ways;\
        $chance differed once and not again"
    return [expr {$differ > 0}]
}

if {$job eq "show"} {
    set s [expr {[string is integer -strict $seed] ? [sequence $seed 14] : $seed}]
    lassign [compare $s 1] verdict stock ours
    foreach operation $s {puts "    [string range [oneline $operation] 0 200]"}
    puts "$verdict\n--- stock\n[join $stock \n]\n--- ours\n[join $ours \n]"
    exit 0
}
exit [fuzz $seconds]
