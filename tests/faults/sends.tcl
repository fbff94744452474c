# sends.tcl: two sends outstanding, served by the instruments: their ends in any order, and what becomes of
# one that comes short.
#
# Prints a line for each case.

chan configure stdout -buffering line -translation lf
source [file join [file dirname [file normalize [info script]]] scenario.tcl]

set SYSTEM 0
set SERVE 1
set HOLD 2
set INSUFFICIENT [expr {0xC000009A - (1 << 32)}]
set RESET [expr {0xC000020D - (1 << 32)}]
set size 130000                 ;# two sends
set data [scenario::payload $size 7]

iocpsock::fault plan WSAIoctl value 65536 0 -1 1000
iocpsock::fault plan CreateEventW fail 8 0 -1 1000       ;# no receives without packets
set server [socket2 -server {apply {{channel args} {set ::accepted $channel}}} -myaddr 127.0.0.1 0]

proc connect {} {
    unset -nocomplain ::accepted ::got ::ended
    set ::client [socket2 127.0.0.1 [lindex [chan configure $::server -sockname] 2]]
    vwait ::accepted
    foreach channel [list $::client $::accepted] {
        chan configure $channel -blocking 0 -translation binary -buffersize 65536
    }
    set ::got ""
    chan event $::accepted readable {
        append got [read $accepted]
        if {[eof $accepted]} {
            chan event $accepted readable {}
            set ended 1
        }
    }
}

# Once the peer has everything, "whole"; or when the connection is broken, which is asked without adding to
# what is queued: what the client's write and read come to.
proc outcome {} {
    if {![scenario::await 20000 {
        [string length $::got] >= $::size || [catch {read $::client} read] || [eof $::client]
    }]} {
        return "nothing happens: [string length $::got] bytes"
    }
    if {[string range $::got 0 $::size-1] eq $::data} {
        close $::client
        scenario::await 20000 {[info exists ::ended]}
        close $::accepted
        return whole
    }
    catch {puts -nonewline $::client x; flush $::client} write
    catch {read $::client} read
    close $::client
    scenario::await 20000 {[info exists ::ended]}
    set after [catch {puts $::accepted x; flush $::accepted; after 50; puts $::accepted x; flush $::accepted}]
    close $::accepted
    regsub -all {"sock[0-9a-f]+"} "$write; $read; the peer is reset: $after" channel result
    return $result
}

proc stage {name plans} {
    set ::name $name
    connect
    iocpsock::fault plan send_direct fail 10035 0 -1 1000
    foreach plan $plans {
        iocpsock::fault plan WSASend {*}$plan 1000
    }
    iocpsock::fault sends $::HOLD
    puts -nonewline $::client $::data
    flush $::client
    set most [iocpsock::fault sends $::SERVE]
    puts "$name: [outcome]"
    iocpsock::fault plan WSASend pass 0 0 0 1000
    iocpsock::fault plan send_direct pass 0 0 0 1000
    return $most
}

set most [stage "as they are" {}]
puts "outstanding: $most"
stage "the first is late" {{late 200 0 1}}
stage "the second is short" {{short 1000 1 1}}
stage "the first is short" {{short 1000 0 1}}
stage "the first finds no memory" [list [list status $INSUFFICIENT 0 1]]
stage "both find no memory" [list [list status $INSUFFICIENT 0 2]]
stage "the first meets a reset" [list [list status $RESET 0 1]]
iocpsock::fault sends $SYSTEM
close $server
if {![scenario::await 5000 {
    [dict get [iocpsock::stats] connections_live] == 0 && [dict get [iocpsock::stats] operations_live] == 0
}]} {
    puts "left over: [iocpsock::stats]"
}
exit
