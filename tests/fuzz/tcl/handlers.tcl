# handlers.tcl: what the events of a sequence do.

proc drain {role} {
    # Nothing unread may be left when a socket is closed: whether that resets the connection is another
    # question.
    catch {fconfigure $::chan($role) -blocking 0 -translation binary}
    for {set i 0} {$i < 20} {incr i} {
        if {[catch {read $::chan($role)} data] || $data eq ""} break
    }
}
# Whether events of that kind come again and again and bring nothing, which is noted once: what follows is
# the same.
proc endless {what role} {
    set had [expr {[info exists ::news($role.data)] ? [string length $::news($role.data)] : 0}]
    if {![info exists ::had($what)] || $::had($what) != $had} {
        set ::fired($what) 0
        set ::had($what) $had
    }
    if {[incr ::fired($what)] == $::endless} {news $what endless}
    return [expr {$::fired($what) >= $::endless}]
}
proc end_other {role} {
    incr ::changes
    drain $role
    close $::chan($role)
    forget $role
}
proc on_readable {role kind} {
    set channel $::chan($role)
    if {[endless $role.r $role]} return
    incr ::changes
    if {[catch {
        switch $kind {
            nothing {
                news $role.nothing r
                if {[llength $::news($role.nothing)] >= 3} {chan event $channel readable {}}
            }
            gets {
                if {![safe $role]} {chan event $channel readable {}; return}
                if {[waiting $role {gets $channel line}] >= 0} {append ::news($role.data) <$line>}
                if {[eof $channel]} {chan event $channel readable {}}
            }
            read - eof3 {
                if {![safe $role]} {chan event $channel readable {}; return}
                append ::news($role.data) [waiting $role {read $channel}]
                if {[eof $channel]} {
                    if {$kind eq "read" || [incr ::fired($role.eof)] >= 3} {
                        news $role.eof $kind
                        chan event $channel readable {}
                    }
                }
            }
            read1 - read7 {
                if {![safe $role]} {chan event $channel readable {}; return}
                append ::news($role.data) [waiting $role {read $channel [string index $kind end]}]
                if {[eof $channel]} {chan event $channel readable {}}
            }
            close      {news $role.r close; drain $role; close $channel; forget $role}
            closewrite {news $role.r closewrite; chan event $channel readable {}; close $channel write}
            closeother {
                set other [partner $role]
                news $role.r closeother
                chan event $channel readable {}
                # Which of two ready channels is notified first is open.
                if {[live $other] && [chan event $::chan($other) writable] ne ""} {
                    after 2 "if {\[live $other\]} {end_other $other}"
                } else {
                    end_other $other
                }
            }
            error      {news $role.r error; throw {FUZZ handler} "handler fails"}
            vwait {
                news $role.r vwait
                chan event $channel readable {}
                after 2 {set ::nested 1}; vwait ::nested
                if {[safe $role]} {append ::news($role.data) [waiting $role {read $channel}]}
            }
            vwaiton {
                # The same, with the handler in place, which is called again inside.
                if {[incr ::depth] < 3} {after 2 {set ::nested 1}; vwait ::nested}
                incr ::depth -1
                if {[safe $role]} {append ::news($role.data) [waiting $role {read $channel}]}
                if {[eof $channel]} {chan event $channel readable {}}
            }
            update {
                news $role.r update
                chan event $channel readable {}
                update
                if {[safe $role]} {append ::news($role.data) [waiting $role {read $channel}]}
            }
            idle {
                update idletasks
                if {[safe $role]} {append ::news($role.data) [waiting $role {read $channel}]}
                if {[eof $channel]} {chan event $channel readable {}}
            }
            replace {news $role.r replace; chan event $channel readable [list on_readable $role read]}
            echo {
                if {![safe $role]} {chan event $channel readable {}; return}
                set data [waiting $role {read $channel}]
                append ::news($role.data) $data
                puts -nonewline $channel [string range $data 0 99]; flush $channel
                chan event $channel readable {}
            }
        }
    } message options] == 1} {
        if {$kind eq "error"} {return -options $options $message}
        news $role.err "r $kind: [masked $message] [masked [dict get $options -errorcode]]"
        catch {chan event $channel readable {}}
    }
}
proc on_writable {role kind} {
    set channel $::chan($role)
    if {[endless $role.w $role]} return
    incr ::changes
    if {[catch {
        switch $kind {
            nothing {
                news $role.nothingw w
                if {[llength $::news($role.nothingw)] >= 3} {chan event $channel writable {}}
            }
            put   {news $role.w put; chan event $channel writable {}; puts $channel written; flush $channel}
            close {news $role.w close; drain $role; close $channel; forget $role}
            error {news $role.w error; throw {FUZZ handler} "handler fails"}
            off {
                # Which of two ready handlers of a channel runs first is open.
                news $role.w off
                chan event $channel writable {}
                after 2 "catch {chan event $channel readable {}}"
            }
            vwait {
                news $role.w vwait
                chan event $channel writable {}
                after 2 {set ::nested 1}; vwait ::nested
            }
            vwaiton {
                # Its handler is called again inside, and comes to an end by what is written.
                if {[incr ::depth] < 3} {after 2 {set ::nested 1}; vwait ::nested}
                incr ::depth -1
                if {[incr ::fired($role.vwaiton)] == 3} {
                    chan event $channel writable {}
                    news $role.w vwaiton
                    puts $channel nested; flush $channel
                }
            }
        }
    } message options] == 1} {
        if {$kind eq "error"} {return -options $options $message}
        news $role.err "w $kind: [masked $message] [masked [dict get $options -errorcode]]"
        catch {chan event $channel writable {}}
    }
}

# A transformation of the script's own: every byte is changed by 1 or not at all.
proc reflected {method handle args} {
    switch $method {
        initialize {return {initialize finalize read write flush drain clear}}
        finalize   {incr ::changes; return}
        read - write {
            binary scan [lindex $args 0] cu* bytes
            set sign [expr {$method eq "read" ? -1 : 1}]
            return [binary format c* [lmap b $bytes {expr {($b + $sign) & 255}}]]
        }
        flush - drain - clear {return {}}
    }
}
