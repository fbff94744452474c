# sockets.tcl: connections of either driver, with a peer in this process or with the puppet.

proc make {how args} {
    if {$how eq "test" && $::driver eq "ours"} {return [socket2 {*}$args]}
    return [socket {*}$args]
}
proc known {role channel} {
    set ::chan($role) $channel
    return $channel
}
proc partner {role} {
    return [dict get {c s s c c2 s2 s2 c2 srv srv f f g g} $role]
}
# What the callback of a server does with a connection.
proc accepted {role kind channel address port} {
    known $role $channel
    incr ::came($role)
    incr ::changes
    fconfigure $channel -blocking 0
    switch $kind {
        error     {after 1 {incr ::changes}; set ::chan($role) closed-$role; error "accept fails"}
        close     {close $channel; forget $role}
        closesrv  {catch {close $::chan(srv)}; forget srv}
        both      {catch {close $::chan(srv)}; forget srv; close $channel; forget $role}
        vwait     {after 2 {set ::inaccept 1}; vwait ::inaccept}
        talk      {puts $channel hello; flush $channel}
        closeerr  {close $channel; forget $role; error "closed and failed"}
        gone      {close $channel; forget $role; set ::chan($role) ""}
    }
    news $role.accepted $kind
}
# Waits until a connection has been accepted.
proc come {role} {
    set ::late 0
    set timer [after 20000 {set ::late 1; incr ::came(nobody)}]
    while {![info exists ::came($role)] && !$::late} {vwait ::came}
    after cancel $timer
    unset -nocomplain ::came($role)
    if {$::late} {note "nobody comes"}
}
# Whether a connection is still being made.
proc connecting {} {
    foreach role {c c2} {
        if {[info exists ::connects($role)] && [live $role]
                && ![catch {fconfigure $::chan($role) -connecting} under] && $under} {return 1}
    }
    return 0
}
# One connection. mode: both, client or server (which end is the driver's under test), puppets (the puppet
# serves), puppetc (the puppet is the client). The roles are c and s, with a 2 for the second connection.
proc connect {mode suffix {options {}} {kind ok}} {
    set c c$suffix; set s s$suffix
    unset -nocomplain ::came($s)
    switch $mode {
        both - client - server {
            set how [expr {$mode eq "client" ? "stock" : "test"}]
            set server [make $how -server [list accepted $s $kind] -myaddr 127.0.0.1 0]
            known srv $server
            set ::port(srv) [lindex [fconfigure $server -sockname] 2]
            known $c [make [expr {$mode eq "server" ? "stock" : "test"}] {*}$options 127.0.0.1 $::port(srv)]
            fconfigure $::chan($c) -blocking 0
            if {$options ne ""} {set ::connects($c) 1}
            come $s
            settle
            catch {set ::port($c) [lindex [fconfigure $::chan($c) -sockname] 2]}
            catch {close $server}
            set ::chan(srv) ""
        }
        puppets {
            known $c [make test {*}$options 127.0.0.1 $::puppetPort]
            fconfigure $::chan($c) -blocking 0
            if {$options ne ""} {set ::connects($c) 1}
            settle
            set ::port($c) [lindex [fconfigure $::chan($c) -sockname] 2]
            set ::port(pup) $::puppetPort
            puppet accept $::port($c)
            set ::puppet($c) $::port($c)
        }
        puppetc {
            set server [make test -server [list accepted $s $kind] -myaddr 127.0.0.1 0]
            known srv $server
            set ::port(srv) [lindex [fconfigure $server -sockname] 2]
            set ::puppet($s) [puppet connect $::port(srv)]
            set ::port($s) $::puppet($s)
            come $s
            settle
            catch {close $server}
            set ::chan(srv) ""
        }
    }
}
# Is a blocking read of that end certain to come back? The other end must have said its last word, or be the
# puppet, whose patience is short.
proc safe {role} {
    if {[info exists ::puppet($role)]} {return 1}
    if {[catch {fconfigure $::chan($role) -blocking} blocking] || !$blocking} {return 1}
    return [info exists ::silent([partner $role])]
}
# Will the foreground copy from there end? It waits whether the channel blocks or not.
proc ends {role} {
    if {$role ni {c s c2 s2}} {return [expr {$role eq "f"}]}
    return [expr {[info exists ::puppet($role)] || [info exists ::silent([partner $role])]}]
}
# A channel is gone: its name, which another may be given, must not be used any more.
proc forget {role} {
    if {$::chan($role) ni [file channels]} {set ::chan($role) closed-$role}
}
proc live {role} {
    return [expr {[info exists ::chan($role)] && $::chan($role) ne "" && $::chan($role) in [file channels]}]
}
