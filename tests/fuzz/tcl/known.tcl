# known.tcl: what is known to differ between the stock command and socket2, as data. In a `text` (any
# message or list of options) or a `result` (a line of the trace) what the pattern finds is replaced before
# traces are compared.
#
# Left out where a reset takes what the program has not received (trace.tcl, takes_unread): a reset over such
# bytes. There the stock command loses them when the system notices the reset, which is at once for a socket
# with a window for its messages. socket2 gets what it has a receive posted for, or asks for first.
#
# Left out after "half-close": the stock channel still has its writing side, ours has not.
#
# Left out by the generator: "exit", when a non-blocking -async channel was written more than a buffer: Tcl
# offers the full buffers then, and not the last, part-filled one.

set known {
    nodelay text {-nodelay [01]} {-nodelay ?}
    "Nagle's algorithm is off on socket2 until the program sets -nodelay to 0, and reading the option says so"
    nodelay result {^(ask \S+ -nodelay -> )[01]$} {\1?} "likewise"
    half-close result {^(close \S+ (read|write) -> )error {} NONE$} {\1}
    "half a close of a channel that failed to connect is an error without a text in stock, and none in ours"
}
