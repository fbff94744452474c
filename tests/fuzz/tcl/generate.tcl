# generate.tcl: makes a random sequence from a seed.

proc pick {args} {
    if {[llength $args] == 1} {set args [lindex $args 0]}
    return [lindex $args [expr {int(rand() * [llength $args])}]]
}
proc chance {p} {expr {rand() < $p}}
set texts {short short short lines cr crlf bytes unicode eofchar long longer empty noline nul surrogate}
proc text {} {
    switch [pick $::texts] {
        short {return [pick a hello "two words\n" "x\ny\n"]}
        lines {return "one\ntwo\nthree\nfour"}
        cr {return "one\rtwo\r"}
        crlf {return "one\r\ntwo\r\n\r"}
        bytes {return "\u0080\u00ff\u00c3\u00a9\n"}
        unicode {return "h\u00e9\u20ac\u4e2d\n\u0416"}
        eofchar {return "before\u001aafter\n"}
        long {return [string repeat "0123456789abcde\n" [pick 64 255 256 257 300]]}
        longer {return [string repeat "0123456789abcdef\r\n" [pick 1000 2500]]}
        empty {return ""}
        noline {return [string repeat q [pick 1 10 4095 4096 4097 5000]]}
        nul {return "a\u0000b\n"}
        surrogate {return "\ud83d\n"}
    }
}
proc bytes {} {
    switch [pick 1 2 3 4 5 6] {
        1 {return "line\n"}
        2 {return "a\r\nb\rc\n"}
        3 {return "\xc3\xa9\xff\x80\n"}
        4 {return "tail"}
        5 {return [string repeat "0123456789\n" [pick 10 400 1000]]}
        6 {return "x\x1ay\n"}
    }
}
# Tcl 8.6's socket has no -keepalive and -nodelay, socket2 has: a documented difference.
proc one {roles puppets} {
    while 1 {
        set operation [random $roles $puppets]
        if {$::tcl9 || [lindex $operation 2] ni {-keepalive -nodelay}} {return $operation}
    }
}
set operations_chosen {
    puts puts puts puts line line line flush flush flush
    gets gets gets read read read readn readn readn
    conf conf conf conf conf conf conf
    event event event event event event event event wevent wevent wevent clear events
    flags pending pending place close close closer closer closew closew closew
    copy copy copy copyfile copyfile copypipe push push push pop ask ask ask
    server client client client reopen closesrv names child child child child timer
    puppet puppet puppet puppet puppet puppet settle
    pressure pressure flood thread thread exit
}
set settings {
    {-blocking 1} {-blocking 1} {-blocking 0} {-blocking 0} {-blocking 0} {-blocking 0}
    {-buffering none} {-buffering line} {-buffering full}
    {-buffersize 10} {-buffersize 1} {-buffersize 100} {-buffersize 5000} {-buffersize 1000000}
    {-translation lf} {-translation crlf} {-translation cr} {-translation auto} {-translation binary}
    {-translation {lf crlf}} {-translation {crlf cr}} {-translation {binary lf}} {-translation bad}
    {-encoding utf-8} {-encoding iso8859-1} {-encoding utf-16} {-encoding unicode} {-encoding ascii}
    {-encoding shiftjis} {-encoding iso2022-jp} {-encoding bad}
    {-eofchar {}} {-eofchar \u001a} {-eofchar x} {-eofchar {x {}}}
    {-profile strict} {-profile tcl8} {-profile replace} {-profile bad}
    {-keepalive 1} {-keepalive bad} {-nodelay 1} {-nodelay 0} {-peername x} {-bogus 1} {-error x}
}
set options {
    {} -error -error -connecting -peername -sockname -blocking -buffering -buffersize -encoding -eofchar
    -translation -profile -keepalive -nodelay -bogus -er -p
}
set reading {
    nothing nothing gets read read read eof3 read1 read7 close closewrite closeother error vwait vwaiton
    vwaiton update idle replace echo
}
set transformations {reflected reflected deflate inflate gzip gunzip compress decompress}
set writing {nothing nothing put close error off vwait vwaiton}

proc random {roles puppets} {
    set r [pick $roles]
    switch [pick $::operations_chosen] {
        puts {return [list puts $r [text]]}
        line {return [list line $r [text]]}
        flush {return [list flush $r]}
        gets {return [list gets $r]}
        read {return [list read $r]}
        readn {return [list read $r [pick 0 1 2 3 10 100 4096 5000]]}
        conf {return [list conf $r {*}[pick $::settings]]}
        event {return [list event $r readable [pick $::reading]]}
        wevent {return [list event $r writable [pick $::writing]]}
        clear {return [list event $r [pick readable writable] {}]}
        events {return [list events $r]}
        flags {return [list flags $r]}
        pending {return [list pending $r]}
        place {return [list place $r [pick tell seek truncate]]}
        close {return [list close $r drained]}
        closer {return [list close $r drained read]}
        closew {return [list close $r [pick drained asis asis asis] write]}
        copy {
            # Not to itself: Tcl 9.0 crashes, with every driver, when such a channel is closed.
            if {[set to [pick $roles]] eq $r} {return settle}
            return [list copy $r $to [pick "" 0 1 5 100 5000] [chance 0.93]]
        }
        copyfile {return [copies_file $r]}
        copypipe {
            if {[chance 0.5]} {return [list seq pipe [list copy $r pw [pick "" 3] 1] settle {read pr}]}
            return [list seq pipe [list copy pr $r [pick "" 3] 1] {puts pw piped} {flush pw} settle]
        }
        push {return [list push $r [pick $::transformations]]}
        pop {return [list pop $r]}
        ask {return [list ask $r [pick $::options]]}
        server {return [list server [pick ok ok error close closesrv both vwait talk closeerr gone]]}
        reopen {return [list reopen [pick ok error talk]]}
        client {return [list client [pick {} -async -async] [pick srv srv srv refused]]}
        closesrv {return [list close srv asis]}
        names {return names}
        child {return [list child [pick share share transfer transfer back close puts read event delete] $r]}
        timer {return [list timer [pick 0 1 4]]}
        settle {return settle}
        pressure {return [list pressure $r [pick 160000 480000 1600000]]}
        flood {return [list flood $r [pick 160000 480000 1600000] [pick close closew reset]]}
        thread {return [list thread $r [pick read write flags shut hear able]]}
        exit {return [exits]}
        puppet {
            if {$puppets eq ""} {return [list puts $r [text]]}
            return [list puppet [pick $puppets] {*}[puppet_does]]
        }
    }
}
proc copies_file {r} {
    set end [if {[chance 0.5]} {list {close f asis}}]
    if {[chance 0.5]} {
        return [list seq [list file f r [bytes]] [list copy f $r [pick "" 1 5] [chance 0.5]] {*}$end]
    }
    set end [if {[chance 0.5]} {list {close g asis}}]
    return [list seq {file g w {}} [list copy $r g [pick "" 1 5] [chance 0.8]] settle {*}$end {filesize g}]
}
proc puppet_does {} {
    set what [pick send send send recv recv recv shut close reset reset later laterclose laterreset]
    switch $what {
        send {return [list send [bytes]]}
        later {return [list later [bytes]]}
        default {return $what}
    }
}
# A process takes seconds, so there are few.
proc exits {} {
    if {[chance 0.8]} {return settle}
    set role [pick client client server]
    set options [if {$role eq "client"} {pick {} -async}]
    set says {{puts $s bye} {puts $s bye; flush $s} {}}
    # Left out: see known.tcl, "exit".
    if {$options eq ""} {lappend says {fconfigure $s -blocking 0; puts $s [string repeat x 200000]}}
    set end [pick exit {close $s; exit} {exit 3} {interp delete {}} {error gone} {close $s write; exit}]
    return [list exit $role $options [pick $says] $end]
}
proc sequence {seed length} {
    expr {srand($seed * 7919 + 13)}
    for {set i 0} {$i < 3} {incr i} {expr {rand()}}
    set mode [pick both both client server puppets puppets puppetc puppetc]
    set options [pick {} {} -async]
    set result [list [list connect $mode "" $options]]
    set roles {c s}
    set puppets {}
    if {$mode eq "puppets"} {set roles c; set puppets c}
    if {$mode eq "puppetc"} {set roles s; set puppets s}
    if {[chance 0.35]} {
        set mode [pick both client server puppets puppetc]
        lappend result [list connect $mode 2]
        switch $mode {
            puppets {lappend roles c2; lappend puppets c2}
            puppetc {lappend roles s2; lappend puppets s2}
            default {lappend roles c2 s2}
        }
    }
    if {[chance 0.25]} {lappend roles c2 s2}
    set n [expr {4 + int(rand() * $length)}]
    for {set i 0} {$i < $n} {incr i} {
        set operation [one $roles $puppets]
        if {[lindex $operation 0] eq "seq"} {
            lappend result {*}[lrange $operation 1 end]
        } else {
            lappend result $operation
        }
        if {[chance 0.6]} {lappend result settle}
    }
    return $result
}

# A list on one line that Tcl reads as the same list: what is not printable is written as an escape,
# repetition as a call.
proc oneline {list} {
    set out ""
    foreach c [split $list ""] {
        scan $c %c code
        append out [expr {$code < 32 || $code > 126 ? [format {\u%04x} $code] : $c}]
    }
    return $out
}
