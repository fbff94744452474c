# elsewhere.tcl: operations that use a channel in another interpreter, another thread or another process.

proc op_child {what role} {
    switch $what {
        share - transfer {
            if {![interp exists child]} {
                interp create child
                child eval {proc bg args {}; interp bgerror {} bg}
            }
            attempt "child $what $role" [list interp $what {} $::chan($role) child]
        }
        back   {attempt "child back $role" [list interp transfer child $::chan($role) {}]}
        close  {attempt "child close $role" [list child eval [list close $::chan($role)]]}
        puts   {attempt "child puts $role" [list child eval "puts $::chan($role) kid; flush $::chan($role)"]}
        read   {
            if {![safe $role]} return
            set script "fconfigure $::chan($role) -blocking 0; read $::chan($role)"
            attempt "child read $role" [list child eval $script] shown
        }
        event  {
            set script "read $::chan($role); chan event $::chan($role) readable {}"
            attempt "child event $role" [list child eval [list chan event $::chan($role) readable $script]]
        }
        delete {catch {drain $role}; attempt "child delete" {interp delete child}}
    }
}

# Cuts the channel out of this thread and splices it into another, which uses it, also by events, and gives
# it back.
proc op_thread {role what} {
    if {[info commands testthread] eq "" || ![live $role]} {note "no thread"; return}
    set scripts {
        read    {read $channel}
        write   {puts $channel threaded; flush $channel}
        flags   {list [eof $channel] [fblocked $channel] [lindex [fconfigure $channel -peername] 0]}
        shut    {close $channel write; eof $channel}
        hear    {
            chan event $channel readable {set done [read $channel]; chan event $channel readable {}}
            vwait done
            set done
        }
        able    {
            chan event $channel writable {set done able; chan event $channel writable {}}
            vwait done
            set done
        }
    }
    set channel $::chan($role)
    fconfigure $channel -blocking 0
    if {$what eq "hear"} {
        set other $::chan([partner $role])
        if {[catch {puts $other "to the thread"; flush $other}]} {note "nobody speaks"; return}
    }
    set thread [testthread create -joinable {testthread wait}]
    testchannel cut $channel
    testthread send $thread "set channel $channel; testchannel splice $channel"
    testthread send $thread {set timer [after 5000 {set done {nothing comes}}]}
    attempt "thread $role $what" [list testthread send $thread [dict get $scripts $what]] shown
    testthread send $thread {after cancel $timer; testchannel cut $::channel}
    testchannel splice $channel
    testthread send -async $thread {testthread exit}
    testthread join $thread
}

# A process of its own, as client or as server, writes to a connection with here, and ends so: what of it
# arrives.
proc op_exit {role options write end} {
    set ::arrived ""
    set ::over 0
    set server [socket -server exit_accept -myaddr 127.0.0.1 0]
    set script "set argv {}\n"
    if {$::driver eq "ours"} {
        append script "package require iocpsock; rename socket stock_socket; rename socket2 socket\n"
    }
    if {$role eq "client"} {
        append script "set s \[socket $options 127.0.0.1 [lindex [fconfigure $server -sockname] 2]\]\n"
    } else {
        append script "proc accept {channel address port} {set ::s \$channel}\n"
        append script "set listener \[socket -server accept -myaddr 127.0.0.1 0\]\n"
        append script "puts \[lindex \[fconfigure \$listener -sockname\] 2\]; flush stdout; vwait s\n"
    }
    append script "fconfigure \$s -translation lf\n$write\n$end\n"
    set file $::scratch.[incr ::files].tcl
    set f [open $file w]; puts $f $script; close $f
    set pipe [open |[list [info nameofexecutable] $file 2>@1] r]
    set timer [after 60000 {set ::over late}]
    if {$role eq "server"} {exit_accept [socket 127.0.0.1 [gets $pipe]] here 0}
    while {$::over == 0} {vwait ::over}
    after cancel $timer
    catch {close $server}
    catch {close $pipe}
    note "exit $role $options $write $end -> [shown $::arrived] $::over"
}
proc exit_accept {channel address port} {
    fconfigure $channel -blocking 0 -translation binary
    chan event $channel readable [list exit_read $channel]
}
proc exit_read {channel} {
    if {[catch {append ::arrived [read $channel]} message]} {close $channel; set ::over $message; return}
    if {[eof $channel]} {close $channel; set ::over end}
}
