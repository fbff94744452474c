# program.tcl: a Tcl process that plays one part in a scenario: tclsh program.tcl stock|socket2
#
# With socket2 nothing is left of the stock command, and what is loaded later finds `socket` without knowing
# whose it is. Everything runs on the main thread, on its event loop. The scenario sends scripts over stdin
# and gets each one's result over stdout, in UTF-8 (conftest.py has the other end):
#
#     LENGTH newline SCRIPT        ->        CODE LENGTH newline RESULT
#
# CODE is 0, or 1 with the error's stack trace as the result. Between two scripts the process serves its
# events: a script that only starts a server is done when the server listens. The process ends with its stdin.

namespace eval program {
    variable implementation [lindex $::argv 0]
    # Closing goes on in the background: what is live must be gone within this many milliseconds.
    variable settle_limit 5000
}

proc program::evaluate {} {
    chan event stdin readable {}
    if {[gets stdin length] < 0} {
        exit
    }
    set script [encoding convertfrom utf-8 [read stdin $length]]
    set code [catch {uplevel #0 $script} result options]
    if {$code == 1} {
        set result [dict get $options -errorinfo]
    }
    set result [encoding convertto utf-8 $result]
    puts -nonewline "[expr {$code == 1}] [string length $result]\n$result"
    flush stdout
    chan event stdin readable program::evaluate
}

# The engine's live counters that do not come back to zero, as a dict; always empty with the stock socket.
proc program::live {} {
    variable implementation
    variable settle_limit
    if {$implementation eq "stock"} {
        return {}
    }
    set deadline [expr {[clock milliseconds] + $settle_limit}]
    while {[dict size [set live [nonzero]]] && [clock milliseconds] < $deadline} {
        after 10 {set program::tick 1}
        vwait program::tick
    }
    return $live
}

proc program::nonzero {} {
    dict filter [iocpsock::stats] script {name count} {expr {[string match *_live $name] && $count != 0}}
}

proc port_of {listener} {
    lindex [chan configure $listener -sockname] 2
}

# Debian 12 has tcllib 1.21. It asks for Tcl 8 throughout, though nearly all of it runs on Tcl 9: there 8
# means 8 or later.
proc use_tcllib {directory} {
    lappend ::auto_path $directory
    if {[package vsatisfies [package provide Tcl] 9]} {
        rename package program::package
        proc package {subcommand args} {
            if {($subcommand eq "require" && [lindex $args 0] eq "Tcl") || $subcommand eq "vsatisfies"} {
                set args [lmap word $args {expr {[regexp {^8(\.\d+)?$} $word] ? "$word-" : $word}}]
            }
            uplevel 1 [list program::package $subcommand {*}$args]
        }
    }
}

if {$program::implementation eq "socket2"} {
    package require iocpsock
    rename socket {}
    rename socket2 socket
} elseif {$program::implementation ne "stock"} {
    puts stderr "usage: tclsh program.tcl stock|socket2"
    exit 2
}
proc bgerror {message} {
    puts stderr "background error: $::errorInfo"
}
chan configure stdin -translation binary
chan configure stdout -translation binary -buffering full
chan configure stderr -encoding utf-8 -translation lf
chan event stdin readable program::evaluate
vwait forever
