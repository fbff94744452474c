# all.tcl ?FILE ...? ?--socket stock|socket2?: runs the scenario files without pytest, for people who have Tcl
# and no Python.
#
# Package iocpsock must be on auto_path (TCLLIBPATH names its parent folder). Without FILE all files run, with
# both commands unless --socket chooses one. Each run is a process of its own (harness.tcl). all.tcl prints
# the names and the output of failed tests; its exit status is 1 if there are any. It names the files that
# need Tcl's test shell, and does not run them.

proc usage {} {
    puts stderr "usage: tclsh all.tcl ?FILE ...? ?--socket stock|socket2?"
    exit 2
}

# Runs one file with one of the commands, and adds up the verdicts in `totals`.
proc run {file implementation} {
    global totals
    set text {}
    set ended 0
    set harness [file join $::here harness.tcl]
    set pipe [open |[list [info nameofexecutable] $harness $implementation $file 2>@1] r]
    chan configure $pipe -translation lf -encoding utf-8
    while {[gets $pipe line] >= 0} {
        set line [string trimright $line \r]
        if {![regexp {^@@ (\w+) ?(.*)} $line -> verdict name]} {
            lappend text $line
            continue
        }
        switch $verdict {
            start {set text {}}
            end {set ended 1}
            default {
                incr totals($verdict)
                if {$verdict eq "failed"} {
                    puts "[file tail $file] with $implementation: $name failed\n    [join $text "\n    "]"
                }
            }
        }
    }
    if {[catch {close $pipe} message] || !$ended} {
        incr totals(failed)
        puts "[file tail $file] with $implementation: ended early. $message\n    [join $text "\n    "]"
    }
}

set here [file dirname [file normalize [info script]]]
set implementations {stock socket2}
set files {}
for {set index 0} {$index < $argc} {incr index} {
    switch -glob -- [lindex $argv $index] {
        --socket {set implementations [lindex $argv [incr index]]}
        -* usage
        default {lappend files [lindex $argv $index]}
    }
}
if {$implementations ni {stock socket2 {stock socket2}}} usage
if {![llength $files]} {
    set files [lsort [glob -directory $here *.test]]
}
array set totals {passed 0 failed 0 skipped 0}
foreach file $files {
    set source [open [file join $here $file]]
    set first [gets $source]
    close $source
    if {[string match "# program: *" $first]} {
        puts "[file tail $file] needs [string range $first 11 end]: left out"
        continue
    }
    foreach implementation $implementations {
        if {![regexp {^# only: (\S+)} $first -> only] || $only eq $implementation} {
            run [file join $here $file] $implementation
        }
    }
}
puts "Tcl [info patchlevel]: $totals(passed) passed, $totals(failed) failed, $totals(skipped) skipped"
exit [expr {$totals(failed) > 0}]
