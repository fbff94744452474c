# operations.tcl: the operations that a sequence is made of; each is a procedure op_NAME.

proc op_connect {mode suffix args} {connect $mode $suffix {*}$args}
proc op_conf {role option value} {
    attempt "conf $role $option [list $value]" [list fconfigure $::chan($role) $option $value]
}
proc op_ask {role option} {attempt "ask $role $option" [list fconfigure $::chan($role) {*}$option]}
proc op_puts {role data} {
    attempt "puts $role" [list puts -nonewline $::chan($role) $data]
}
proc op_line {role data} {attempt "line $role" [list puts $::chan($role) $data]}
proc op_flush {role} {attempt "flush $role" [list flush $::chan($role)]}
proc op_gets {role} {
    if {![safe $role]} {note "gets $role: might block"; return}
    waiting $role {attempt "gets $role" [list gets $::chan($role)] shown}
    flags $role
}
proc op_read {role {count ""}} {
    if {![safe $role]} {note "read $role: might block"; return}
    waiting $role {attempt "read $role $count" [list read $::chan($role) {*}$count] shown}
    flags $role
}
proc flags {role} {
    attempt "  flags $role" "list eof \[eof $::chan($role)\] blocked \[fblocked $::chan($role)\]"
}
proc op_flags {role} {flags $role}
proc op_pending {role} {
    set c $::chan($role)
    attempt "pending $role" "list \[chan pending input $c\] \[chan pending output $c\]"
}
proc op_place {role what} {
    switch $what {
        tell {attempt "tell $role" [list tell $::chan($role)]}
        seek {attempt "seek $role" [list seek $::chan($role) 0 current]}
        truncate {attempt "truncate $role" [list chan truncate $::chan($role)]}
    }
}
proc op_event {role direction kind} {
    set script {}
    if {$kind ne ""} {set script [list on_$direction $role $kind]}
    attempt "event $role $direction $kind" [list chan event $::chan($role) $direction $script]
}
proc op_events {role} {
    set c $::chan($role)
    attempt "events $role" "list \[chan event $c readable\] \[chan event $c writable\]"
}
proc op_close {role how {direction ""}} {
    if {$how eq "drained"} {drain $role}
    if {[attempt "close $role $direction" [list close $::chan($role) {*}$direction]] == 0} {
        if {$direction ne "read"} {set ::silent($role) 1}
        if {$direction eq ""} {set ::gone($role) 1}
        forget $role
    }
    # Left out: see known.tcl, "half-close".
    if {$direction eq "write" && [info exists ::refused($role)]} {catch {close $::chan($role)}; forget $role}
}
proc op_copy {from to size background} {
    set options {}
    if {$size ne ""} {lappend options -size $size}
    if {$background} {
        lappend options -command [list copied $from $to]
    } elseif {![ends $from]} {
        note "copy: might block"; return
    }
    waiting $from {attempt "copy $from $to $options" [list fcopy $::chan($from) $::chan($to) {*}$options]}
}
proc copied {from to bytes {message ""}} {news copied "$from $to $bytes [masked $message]"}
proc op_file {role mode content} {
    catch {close $::chan($role)}
    set ::file($role) $::scratch.[incr ::files]
    if {$mode eq "r"} {set f [open $::file($role) wb]; puts -nonewline $f $content; close $f}
    known $role [open $::file($role) [expr {$mode eq "r" ? "rb" : "wb"}]]
}
proc op_filesize {role} {
    catch {flush $::chan($role)}
    attempt "filesize $role" [list file size $::file($role)]
}
proc op_pipe {} {
    lassign [chan pipe] r w
    known pr $r; known pw $w
    fconfigure $r -blocking 0; fconfigure $w -blocking 0
}
proc op_push {role what} {
    # Tcl 9.0 crashes, with every driver, when a script's transformation is put on one that has output.
    catch {flush $::chan($role)}
    switch $what {
        reflected {attempt "push $role reflected" [list chan push $::chan($role) reflected] quietly}
        default   {attempt "push $role zlib $what" [list zlib push $what $::chan($role)] quietly}
    }
}
proc quietly {result} {return ok}
proc op_pop {role} {attempt "pop $role" [list chan pop $::chan($role)]}
proc op_server {kind} {
    # A listener that stays, with connections to it of both drivers' making.
    set server [make test -server [list accepted s2 $kind] -myaddr 127.0.0.1 0]
    attempt "server $kind" [list known srv $server] quietly
    set ::port(srv) [lindex [fconfigure $::chan(srv) -sockname] 2]
    settle
}
proc op_reopen {kind} {
    if {![info exists ::port(srv)]} {note "no server"; return}
    set arguments [list -server [list accepted s2 $kind] -myaddr 127.0.0.1 $::port(srv)]
    if {![catch {known srv [make test {*}$arguments]} e o]} {
        note "reopen -> ok"
    } else {
        note "reopen -> $e [dict get $o -errorcode]"
    }
}
proc op_client {options {where srv}} {
    unset -nocomplain ::came(s2) ::connects(c2) ::refused(c2)
    if {$where eq "refused" || ![live srv]} {set ::refused(c2) 1}
    set port [expr {$where eq "refused" ? 1 : [info exists ::port(srv)] ? $::port(srv) : 1}]
    if {![catch {known c2 [make test {*}$options 127.0.0.1 $port]} e o]} {
        note "client $options $where -> ok"
        fconfigure $::chan(c2) -blocking 0
        if {$where ne "refused" && [live srv]} {come s2}
        catch {set ::port(c2) [lindex [fconfigure $::chan(c2) -sockname] 2]}
        unset -nocomplain ::silent(c2)
        if {$options ne ""} {set ::connects(c2) 1}
    } else {
        note "client $options $where -> [masked $e] [dict get $o -errorcode]"
    }
}
proc op_names {} {
    attempt names {
        lsort [lmap c [file channels] {
            if {![string match sock* $c] || $c eq $::control} continue
            masked $c
        }]
    }
}
proc op_timer {ms} {after $ms {news timer fired}; incr ::changes; after [expr {$ms + 1}] {incr ::changes}}
proc op_settle {} {settle}
proc op_wait {ms} {after $ms {set ::waited 1}; vwait ::waited; settle}
proc op_puppet {role what {data ""}} {
    if {![info exists ::puppet($role)]} {note "no puppet"; return}
    set p $::puppet($role)
    if {$what in {close reset laterclose laterreset}} {set ::gone($role) 1}
    switch $what {
        send {puppet send $p [binary encode hex $data]}
        recv {settle; note "puppet $role recv -> [puppet recv $p]"}
        later {puppet later send $p [binary encode hex $data]}
        laterclose {puppet later close $p}
        laterreset {puppet later reset $p}
        reset {receive_all; puppet reset $p}
        default {puppet $what $p}
    }
}
