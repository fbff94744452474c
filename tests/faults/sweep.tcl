# sweep.tcl EVERY SETTINGS CONSTANT CALL ACTION CODE TIMES
#
# The scenario again and again, the fault EVERY calls later each time, until it is not reached. SETTINGS are
# the listener's; CONSTANT is a list of further plans, {CALL ACTION CODE} each, that hold in every run and are
# no reason for a loss.
#
# Prints a line for each complaint, and at the end `@@ swept RUNS FAULTS SHORT`: runs with a fault, faults in
# all, and how many echoes ended short without an error, as Tcl ends a stream that was reset.

chan configure stdout -buffering line -translation lf
source [file join [file dirname [file normalize [info script]]] scenario.tcl]
lassign $argv every settings constant call action code times

proc fired {} {
    lindex [dict get [iocpsock::fault counts] $::call] 1
}

proc plan_constant {} {
    iocpsock::fault clear
    foreach plan $::constant {
        iocpsock::fault plan {*}$plan 0 -1 1000
    }
}

# One run with the fault after `skip` calls: the complaints, and in `count` how often it struck.
proc attempt {skip} {
    plan_constant
    iocpsock::fault plan $::call $::action $::code $skip $::times 1000
    set complaints [scenario::run fired]
    set ::count [fired]
    plan_constant
    lappend complaints {*}[scenario::aftermath]
}

proc complain {where complaints} {
    foreach complaint $complaints {
        puts "$where: $complaint"
    }
}

interp bgerror {} {apply {{message options} {
    complain "background error" [list [dict get $options -errorinfo]]
}}}
plan_constant
complain "with no fault" [scenario::prepare {*}$settings]
set runs 0
set faults 0
for {set skip 0} {1} {incr skip $every} {
    set complaints [attempt $skip]
    # A handle more may be the system's own, made when a thread first needs it. A leak leaves one each time.
    for {set again 0} {$again < 3 && [llength $complaints] == 1
            && [string match "left over: handles*" [lindex $complaints 0]]} {incr again} {
        set complaints [attempt $skip]
    }
    complain "$call $action $code, $times times after $skip" $complaints
    if {!$count} {
        break
    }
    incr runs
    incr faults $count
}
puts "@@ swept $runs $faults $scenario::silent"
exit
