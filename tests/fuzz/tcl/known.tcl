# known.tcl: what is known to differ between the stock command and socket2, as data. In a `text` (any message or list of
# options) or a `result` (a line of the trace) what the pattern finds is replaced before traces are compared.
#
# Left out by the operations themselves: "half-close", of an -async connection that failed and of one that was reset.

set known {
    "peer of no connection" text { -peername \{\}} {}
        "of a connection that failed or was reset socket2 lists an empty -peername, and the stock command none"
    "own address" text {(-sockname )(?:\{[^\{\}]*\}|\S+)} {\1...}
        "socket2 does not tell its own address of an -async connection that failed"
    "reset in -error" result {((?:^| )-error|error \w+) -> connection reset by peer$} {\1 -> }
        "after a reset -error of socket2 tells of it, once; that of the stock command under Wine does not"
}
