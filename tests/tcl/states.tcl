# states.tcl: the script of a child process of states.test, which ends channels in every state. The child and
# its threads source it.
#
# A cell is a dictionary: how its channel is opened (`connected`, `address`, `name`: the last two with
# -async), its `shape` (`plain`, `half`, `unread`, `input`, `stacked`), its `load` (see states::size), whether
# it is `blocking`, and the `port` of the peer.

namespace eval states {
    # What is written: less than one of Tcl's buffers, many of them, more than the system and the engine take.
    variable size {partial 1000 buffers 100000 full 6000000}
    variable data [string repeat [payload 65521] 92]
}

proc states::data {load} {
    variable size
    variable data
    string range $data 0 [dict get $size $load]-1
}

# The channel of a cell, in its state: with all of its load written.
proc states::channel {cell} {
    dict with cell {
        set channel [switch $opening {
            connected {socket 127.0.0.1 $port}
            address {socket -async 127.0.0.1 $port}
            name {socket -async localhost $port}
        }]
        chan configure $channel -blocking $blocking -translation binary \
            -buffersize [expr {$load eq "full" ? 65536 : 4096}]
        switch $shape {
            unread {await_event $channel readable}
            input {close $channel read}
            stacked {zlib push gzip $channel}
        }
        puts -nonewline $channel [data $load]
        if {$shape eq "half"} {
            close $channel write
        }
        if {$load eq "full" && !$blocking} {
            puts full
            flush stdout
        }
    }
    return $channel
}

# Brings each cell's channel to the ending. Those that the process outlives end one by one, as soon as they
# are in their state.
proc states::end {ending cells} {
    foreach cell $cells {
        switch $ending {
            "exit" - "script's end" {channel $cell}
            "close" - "close, exit" {close [channel $cell]}
            "interp delete" - "interp delete, exit" {
                set channel [channel $cell]
                set child [interp create]
                interp transfer {} $channel $child
                interp delete $child
            }
            "thread's end" {in_thread [list channel $cell]}
            "thread's exit" {in_thread [list channel $cell] {testthread exit}}
            "close, thread's end" {in_thread "close \[[list channel $cell]\]"}
        }
    }
}

# A thread's whole life.
proc states::in_thread args {
    variable ::harness::implementation
    variable ::harness::directory
    set thread [testthread create -joinable [join [list \
        [list set argv [list $implementation]] \
        [list source [file join $directory support.tcl]] \
        [list set ::harness::implementation $implementation] \
        {eval [implementation_script]} \
        [list source [file join $directory states.tcl]] \
        [list namespace eval states [join $args \n]]] \n]]
    testthread join $thread
}

# All of it: what is said on stdout is "full" when such a channel is, "done" when the process goes on,
# "exiting" when it ends, or an error.
proc states::play {ending cells} {
    if {[catch {end $ending $cells} message]} {
        puts $message
        exit
    }
    if {$ending in {"close" "interp delete" "thread's end" "thread's exit" "close, thread's end"}} {
        puts done
        chan event stdin readable {set ::end 1}
        vwait ::end
    }
    puts exiting
    if {$ending ne "script's end"} {
        exit
    }
}
