# beside.tcl: a thread that receives itself, and sends that a peer does not take: is a receive ever cancelled
# beside one of them?
#
# Two channels play ball until the thread is hot. Then one is written full, while nobody reads at the other
# end, and in all the ways in which a thread takes its receives back this one has to: it waits in vain, it
# asks for no more events, it blocks in a read of another channel, it becomes hot again.
# Prints `@@ beside RECEIVES SENDS CANCELS`: direct receives so far, sends that were outstanding, and cancels
# beside them.

chan configure stdout -buffering line -translation lf
package require iocpsock
interp bgerror {} {apply {{message options} {puts "background error: [dict get $options -errorinfo]"}}}

proc return_ball {channel} {
    if {[gets $channel line] >= 0 && [incr ::rounds -1] > 0} {
        puts $channel ball
    }
}

proc wait {milliseconds} {
    after $milliseconds {set ::waited 1}
    vwait ::waited
}

# Plays until the thread receives itself.
proc heat {client accepted} {
    set before [dict get [iocpsock::stats] direct_receives]
    for {set i 0} {$i < 20 && [dict get [iocpsock::stats] direct_receives] < $before + 10} {incr i} {
        set ::rounds 200
        puts $client ball
        while {$::rounds > 0} {
            vwait ::rounds
        }
    }
}

proc pair {} {
    set server [socket2 -server {apply {{channel args} {set ::accepted $channel}}} -myaddr 127.0.0.1 0]
    set client [socket2 127.0.0.1 [lindex [chan configure $server -sockname] 2]]
    vwait ::accepted
    close $server
    foreach channel [list $client $::accepted] {
        chan configure $channel -blocking 0 -buffering line -translation lf -sendlimit 4096
        chan event $channel readable [list return_ball $channel]
    }
    list $client $::accepted
}

lassign [pair] client accepted
lassign [pair] other other_accepted
heat $client $accepted
set rubbish [string repeat [string repeat x 999]\n 200]
set sends 0
for {set round 0} {$round < 3} {incr round} {
    # Nobody reads here, so the other end's sends stay outstanding.
    chan event $accepted readable {}
    while {[chan pending output $client] == 0} {
        puts -nonewline $client $rubbish
        flush $client
    }
    incr sends [expr {[iocpsock::fault outstanding] > 0}]
    heat $other $other_accepted                     ;# hot while the send is outstanding, ...
    wait 50                                         ;# ... and cool
    puts $accepted ball                             ;# the full one still hears of what comes
    set ::rounds 1
    while {$::rounds > 0} {
        vwait ::rounds
    }
    chan event $accepted readable {read $::accepted_channel}
    set ::accepted_channel $accepted
    while {[chan pending output $client] > 0 || [iocpsock::fault outstanding] > 0} {
        wait 10                                     ;# the last packet may come after the last byte was read
    }
    wait 50
    read $accepted
    chan event $accepted readable [list return_ball $accepted]
    heat $client $accepted
}
puts "@@ beside [dict get [iocpsock::stats] direct_receives] $sends [iocpsock::fault beside]"
exit
