# proxy.tcl HOST PORT ?LISTEN?: pass connections on to HOST and PORT, both ways, with the half-closes.

package require iocpsock

proc accept {near address port} {
    lassign $::argv host remote
    if {[catch {socket2 -async $host $remote} far]} {
        puts stderr $far
        return [close $near]
    }
    set ::copies($near) 2
    foreach channel [list $near $far] {
        chan configure $channel -blocking 0 -translation binary
    }
    chan copy $near $far -command [list finished $near $far $far]
    chan copy $far $near -command [list finished $near $far $near]
}

proc finished {near far to count {problem ""}} {
    if {[incr ::copies($near) -1] && $problem eq ""} {
        chan close $to write
    } else {
        catch {close $near} ; catch {close $far}
    }
}

set server [socket2 -server accept -myaddr 127.0.0.1 [expr {$argc > 2 ? [lindex $argv 2] : 0}]]
puts "listening on port [lindex [chan configure $server -sockname] 2]"
flush stdout
vwait forever
