# pressure.tcl: operations that write more than fits, to a peer that reads late; never byte by byte.

# More than fits: all of it is written at once while the other end reads late.
proc op_pressure {role size} {
    set to [partner $role]
    if {[info exists ::puppet($role)] || ![live $role] || ![live $to]} {note "no pair"; return}
    if {[catch {
        fconfigure $::chan($role) -blocking 0 -translation binary -buffersize 4096
        fconfigure $::chan($to) -blocking 0 -translation binary -buffersize 4096
        chan event $::chan($to) readable {}
        puts -nonewline $::chan($role) [string repeat 0123456789abcdef [expr {$size / 16}]]
        flush $::chan($role)
        set data ""
        set end [expr {[clock milliseconds] + 20000}]        ;# it moves on with each byte
        while {[string length $data] < $size && ![eof $::chan($to)] && [clock milliseconds] < $end} {
            after 1 {set ::woken 1}; vwait ::woken
            set piece [read $::chan($to) [expr {$size - [string length $data]}]]
            if {$piece eq ""} continue
            append data $piece
            set end [expr {[clock milliseconds] + 20000}]
        }
        set result "[string length $data] bytes, [zlib crc32 $data]"
    } result options]} {set result "error [masked $result] [masked [dict get $options -errorcode]]"}
    note "pressure $role $size -> $result"
}
# The puppet reads nothing, while much is written, and then takes everything: what arrives when the channel
# is closed over it, or its writing side, or reset by the puppet.
proc op_flood {role size end} {
    if {![info exists ::puppet($role)] || ![live $role]} {note "no puppet"; return}
    set port $::puppet($role)
    if {[catch {
        fconfigure $::chan($role) -blocking 0 -translation binary -buffersize 4096
        puts -nonewline $::chan($role) [string repeat 0123456789abcdef [expr {$size / 16}]]
        flush $::chan($role)
    } message]} {note "flood $role: [masked $message]"; return}
    switch $end {
        close  {op_close $role drained}
        closew {op_close $role drained write}
        reset  {receive_all; puppet reset $port; set ::gone($role) 1; return}
    }
    if {![info exists ::silent($role)]} return
    puppet take $port
    while {[set taken [puppet taken $port]] eq "not yet"} {after 2 {set ::woken 1}; vwait ::woken}
    note "flood $role $size $end -> $taken"
}
