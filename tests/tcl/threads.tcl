# threads.tcl: the common procedures of the scenarios with several Tcl threads. They need Tcl's test shell,
# whose `testthread` makes threads and whose `testchannel` cuts a channel out of one thread and splices it
# into another.

# A thread that waits for scripts, with support.tcl and the same `socket`.
proc new_thread {} {
    set thread [testthread create -joinable {testthread wait}]
    testthread send $thread [list source [file join $::harness::directory support.tcl]]
    testthread send $thread [list set ::harness::implementation $::harness::implementation]
    testthread send $thread [list set ::main [testthread id]]
    testthread send $thread {
        eval [implementation_script]
        set ::localhost 127.0.0.1
        proc tell_main args {
            testthread send -async $::main [list lappend ::told {*}$args]
        }
    }
    return $thread
}

# A thread whose interpreter never heard of the package.
proc new_bare_thread {} {
    testthread create -joinable {testthread wait}
}

proc end_thread {thread} {
    testthread send -async $thread {testthread exit}
    testthread join $thread
}

# Moves the channel into the thread; there the global variable `channel` has its name.
proc move_to {thread channel} {
    testchannel cut $channel
    testthread send $thread [list set ::channel $channel]
    testthread send $thread {testchannel splice $::channel}
}

# Moves it back.
proc move_back {thread channel} {
    testthread send $thread [list testchannel cut $channel]
    testchannel splice $channel
}

# A quick exchange of lines between the channels, after which a thread of socket2's receives itself.
set exchange {
    proc exchange {first second rounds} {
        set ::rounds $rounds
        foreach channel [list $first $second] {
            chan configure $channel -buffering line -translation lf -blocking 0
            chan event $channel readable [list apply {{channel} {
                if {[gets $channel line] >= 0 && [incr ::rounds -1] > 0} {
                    puts $channel [incr line]
                }
            }} $channel]
        }
        puts $first 0
        await rounds {$::rounds <= 0}
    }
}
eval $exchange
