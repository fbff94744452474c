# httpd.tcl - a static-file HTTP/1.1 server, on socket2 or on the stock socket.
#
#     tclsh httpd.tcl ?-socket socket2|socket? ?-host ADDRESS? ?-port PORT? DIRECTORY
#
# Prints "listening ADDRESS PORT" when it is ready; port 0 lets the system choose. It runs until it is killed.
#
# Every connection is one coroutine, which owns its channel: it waits for a request, answers it, and goes on
# until the peer has had enough. Everything runs in the interpreter's one thread, on its event loop. Whatever
# goes wrong in a connection ends that connection and nothing else.

package require Tcl 8.6-

namespace eval httpd {
    variable root ""                ;# the directory that is served
    variable idle 60000             ;# milliseconds that a peer may take over a request
    variable headLimit 16384        ;# bytes of request line and header fields
    variable buffer 65536           ;# bytes of a connection's output buffer, and of one step of a large file
    variable connections 0          ;# how many there have been, to name their coroutines
    variable date {0 {}}            ;# the last second a Date field was made for, and the field

    variable reasons {
        200 OK  400 {Bad Request}  403 Forbidden  404 {Not Found}  405 {Method Not Allowed}
        408 {Request Timeout}  431 {Request Header Fields Too Large}  500 {Internal Server Error}
    }
    variable types {
        .css text/css  .csv text/csv  .gif image/gif  .htm text/html  .html text/html  .ico image/x-icon
        .jpeg image/jpeg  .jpg image/jpeg  .js text/javascript  .json application/json  .md text/markdown
        .msg text/plain  .pdf application/pdf  .png image/png  .svg image/svg+xml  .tcl text/plain
        .tm text/plain  .txt text/plain  .wasm application/wasm  .xml text/xml  .zip application/zip
    }
}

# ---------------------------------------------------------------- connections

proc httpd::accept {channel address port} {
    variable connections
    coroutine connection[incr connections] httpd::converse $channel "$address:$port"
}

# The life of one connection. Faults of the request carry an errorcode {HTTP status} and are answered; all
# others (the peer went away, most often) are only reported.
proc httpd::converse {channel peer} {
    variable buffer
    try {
        chan configure $channel -blocking 0 -translation binary -buffering full -buffersize $buffer
        # One request an event: who has sent many gets the next answer when the others had their turn. A
        # request that is in the channel's buffer already makes the channel readable, too.
        while {[serve $channel]} {awaitReadable $channel}
    } trap HTTP {reason options} {
        catch {refuse $channel [lindex [dict get $options -errorcode] 1] $reason}
    } on error {message} {
        puts stderr "httpd: $peer: $message"
    } finally {
        catch {close $channel}
    }
}

# Answer one request; true if the connection can take another.
proc httpd::serve {channel} {
    set line [requestLine $channel]
    if {$line eq "" && [chan eof $channel]} {return 0}
    if {![regexp {^([A-Z]+) (\S+) HTTP/1\.([01])$} $line -> method target minor]} {
        fail 400 "malformed request line"
    }
    set fields [headerFields $channel]
    if {$minor && ![dict exists $fields host]} {
        fail 400 "HTTP/1.1 requires a Host field"
    }
    if {$method ni {GET HEAD}} {
        fail 405 "only GET and HEAD are served"
    }
    set keep [persistent $minor $fields]
    sendFile $channel $method [localPath $target] $keep
    return $keep
}

# True if the connection outlives the response. A request that announces a body ends it: the body is never
# read.
proc httpd::persistent {minor fields} {
    if {[dict exists $fields transfer-encoding] || [field $fields content-length 0] ne "0"} {
        return 0
    }
    set wishes [string tolower [field $fields connection ""]]
    return [expr {$minor ? ![string match *close* $wishes] : [string match *keep-alive* $wishes]}]
}

proc httpd::field {fields name default} {
    return [expr {[dict exists $fields $name] ? [dict get $fields $name] : $default}]
}

proc httpd::fail {status reason} {
    throw [list HTTP $status] $reason
}

# ---------------------------------------------------------------- requests

# The request line, or "" if the peer closed instead of asking. One empty line before it is forgiven, as RFC
# 9112 advises.
proc httpd::requestLine {channel} {
    set line [nextLine $channel]
    if {$line eq ""} {set line [nextLine $channel]}
    return $line
}

# The header fields as a dict of lower-case names.
proc httpd::headerFields {channel} {
    variable headLimit
    set fields {}
    set size 0
    while {[set line [nextLine $channel]] ne ""} {
        if {[incr size [string length $line]] > $headLimit} {
            fail 431 "the header fields exceed $headLimit bytes"
        }
        if {![regexp {^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*$} $line -> name value]} {
            fail 400 "malformed header field"
        }
        dict set fields [string tolower $name] $value
    }
    if {[chan eof $channel]} {
        error "closed by the peer in the middle of a request"
    }
    return $fields
}

# One line without its end, waiting as long as it takes; "" at the end of the stream.
proc httpd::nextLine {channel} {
    variable headLimit
    while {[gets $channel line] < 0} {
        if {[chan eof $channel]} {return ""}
        if {[chan pending input $channel] > $headLimit} {
            fail 431 "a line exceeds $headLimit bytes"
        }
        awaitReadable $channel
    }
    return [string trimright $line \r]
}

proc httpd::awaitReadable {channel} {
    variable idle
    set timer [after $idle [list [info coroutine] idle]]
    chan event $channel readable [list [info coroutine] readable]
    set event [yield]
    chan event $channel readable {}
    after cancel $timer
    if {$event eq "idle"} {
        fail 408 "no request within $idle ms"
    }
}

# The file that a request target names. The path is taken apart and put together again from segments that are
# plain names for every file system: what could climb, name a drive, a stream or a device, or hide a separator
# is refused.
proc httpd::localPath {target} {
    variable root
    regsub {^[a-z]+://[^/]*} [regsub {[?#].*$} $target ""] "" path
    if {[string index $path 0] ne "/"} {
        fail 400 "the request target is not a path"
    }
    set local $root
    foreach segment [split [string range [percentDecode $path] 1 end] /] {
        if {![plainName $segment]} {
            fail 404 "no such file"
        }
        # Not [file join]: it takes a segment like ~user or C: as the start of another path.
        append local / $segment
    }
    return $local
}

proc httpd::plainName {segment} {
    return [expr {$segment ne ""
        && ![regexp {[\x00-\x1f\\:*?"<>|]|[. ]$} $segment]
        && ![regexp -nocase {^(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|$)} $segment]}]
}

proc httpd::percentDecode {text} {
    set pieces [lassign [split $text %] bytes]
    foreach piece $pieces {
        if {![regexp {^([0-9A-Fa-f]{2})(.*)$} $piece -> code rest]} {
            fail 400 "malformed percent-encoding"
        }
        append bytes [format %c 0x$code] $rest
    }
    try {
        return [encoding convertfrom utf-8 $bytes]
    } on error {} {
        fail 400 "the path is not UTF-8"
    }
}

# ---------------------------------------------------------------- responses

# The Content-Length is a promise: if the file has shrunk meanwhile, only closing the connection tells the
# peer.
proc httpd::sendFile {channel method path keep} {
    variable buffer
    set file [openFile $path]
    try {
        set size [sizeOf $file]
        sendHead $channel 200 [contentType $path] $size $keep
        if {$method eq "GET"} {
            set send [expr {$size < $buffer / 2 ? "writeBody" : "copyBody"}]
            set sent [$send $file $channel $size]
            if {$sent != $size} {
                error "sent $sent of $size bytes of $path"
            }
        }
        chan flush $channel
    } finally {
        close $file
    }
}

# A small body joins its head in the channel's buffer, and both leave in one packet. fcopy would write them
# one by one, and the second would wait until the peer has acknowledged the first.
proc httpd::writeBody {file channel size} {
    set body [read $file $size]
    puts -nonewline $channel $body
    return [string length $body]
}

# A large one is copied in the background, while other connections go on.
proc httpd::copyBody {file channel size} {
    variable buffer
    chan configure $file -buffersize $buffer
    fcopy $file $channel -size $size -command [info coroutine]
    lassign [yieldto return -level 0] copied message
    if {$message ne ""} {
        error $message
    }
    return $copied
}

# Opened without a look at it first: asking about a path costs Windows several times as much as opening it.
proc httpd::openFile {path} {
    try {
        return [open $path rb]
    } trap {POSIX ENOENT} {} - trap {POSIX ENOTDIR} {} - trap {POSIX EISDIR} {} {
        fail 404 "no such file"
    } trap {POSIX EACCES} {} {
        # What Windows says of a directory, too.
        if {[file isdirectory $path]} {
            fail 404 "no such file"
        }
        fail 403 "the file cannot be read"
    } on error {message} {
        puts stderr "httpd: $message"
        fail 500 "the file cannot be opened"
    }
}

proc httpd::sizeOf {file} {
    chan seek $file 0 end
    set size [chan tell $file]
    chan seek $file 0
    return $size
}

proc httpd::refuse {channel status reason} {
    set body "$status $reason\n"
    sendHead $channel $status text/plain [string length $body] 0
    puts -nonewline $channel $body
    chan flush $channel
}

proc httpd::sendHead {channel status type size keep} {
    variable reasons
    set head "HTTP/1.1 $status [dict get $reasons $status]\r\n[dateField]"
    append head "Content-Type: $type\r\nContent-Length: $size\r\n"
    if {$status == 405} {
        append head "Allow: GET, HEAD\r\n"
    }
    append head "Connection: [expr {$keep ? "keep-alive" : "close"}]\r\n\r\n"
    puts -nonewline $channel $head
}

# Made once a second: formatting a date costs more than the rest of the head.
proc httpd::dateField {} {
    variable date
    set now [clock seconds]
    if {$now != [lindex $date 0]} {
        set text [clock format $now -format "%a, %d %b %Y %H:%M:%S GMT" -timezone :UTC -locale C]
        set date [list $now "Date: $text\r\n"]
    }
    return [lindex $date 1]
}

proc httpd::contentType {path} {
    variable types
    return [field $types [string tolower [file extension $path]] application/octet-stream]
}

# ---------------------------------------------------------------- the program

proc httpd::main {arguments} {
    variable root
    set options {-socket socket2 -host 127.0.0.1 -port 8080}
    set directory [lindex $arguments end]
    foreach {name value} [lrange $arguments 0 end-1] {
        if {![dict exists $options $name]} {
            error "unknown option \"$name\": should be [join [dict keys $options] {, }]"
        }
        dict set options $name $value
    }
    if {![file isdirectory $directory]} {
        error "\"$directory\" is not a directory"
    }
    set root [file normalize $directory]
    dict with options {}
    if {${-socket} eq "socket2"} {
        package require iocpsock
    }
    set listener [${-socket} -server httpd::accept -myaddr ${-host} ${-port}]
    lassign [chan configure $listener -sockname] address name port
    puts "listening $address $port"
    chan flush stdout
    vwait forever
}

if {[info exists argv0] && [file normalize $argv0] eq [file normalize [info script]]} {
    try {
        httpd::main $argv
    } on error {message} {
        puts stderr "httpd: $message"
        exit 1
    }
}
