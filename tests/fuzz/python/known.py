"""What is known to differ between the stock sockets and ours, as data: each with the reason. A sequence is
compared up to such a difference, because the two are in different states afterwards, or beyond it where
`goes_on` says so.

`step`, `stock` and `ours` are regular expressions that must be found in the step and in the two outcomes
as text.
"""

import re
from typing import NamedTuple


class Known(NamedTuple):
    name: str
    reason: str
    step: str = ""
    stock: str = ""
    ours: str = ""
    goes_on: bool = False
    before: str = ""         # must be found in the steps before


ENDED = r"^\('', \(?(b''|'0'|'raised'.*(10058|1005[34]))"

KNOWN = (
    Known("no wait for what cannot come",
          "where nothing is connected or listens ours say so; stock waits, for its time-out or for ever",
          stock=r"TimeoutError|BLOCKED|1005[47]\b|10045", ours=r"10057|10022|10058|10054"),
    Known("the code of a closed socket",
          "a call whose socket another thread closes raises 10038 in ours: docs/python.md",
          step=r"^together\(.*close\(\)", ours=r"10038"),
    Known("wrong arguments, and closed",
          "that a socket is closed is said before what is wrong with the arguments",
          stock=r"TypeError|ValueError|OverflowError|BufferError", ours=r"10038"),
    Known("shut down under a call",
          "whether a call that waits is told of an end or of an error is Wine's matter",
          step=r"^together\(.*(SHUT_RDWR|close\()\)", stock=ENDED, ours=ENDED),
    Known("a new socket in the object", "an object that is made once more is not connected: see above",
          step=r"^pressure\(", before=r"__init__\(\)", ours="10057"),
    Known("number of arguments",
          "how many arguments a call takes is said in other words, and checked at another place",
          stock="TypeError", ours="TypeError", goes_on=True),
    Known("urgent data", "under Wine urgent data arrive in the stream, sooner or later",
          step=r"MSG_OOB|0x?1\)$"),
    Known("MSG_WAITALL", "Wine's own recv does not wait for all; ours does, as Windows' does",
          step="MSG_WAITALL"),
    Known("a read after a failed connect", "under Wine it is told of an end, where nobody waits first",
          stock=r"TimeoutError|BLOCKED",
          ours=r"^(b''|\(?'0'|\(b'', )|StopIteration", before=r"connect(_ex)?\(\(b?'"),
    Known("loopback of the other family",
          "connecting to :: or 0.0.0.0 means this machine in ours: docs/python.md",
          step=r"connect(_ex)?\(\('(::|0\.0\.0\.0|)'"),
    Known("an address of a link",
          "Wine has two codes for an interface that cannot be used, for its two calls",
          step=r"connect(_ex)?\(\('fe80::", stock="10022", ours="10051"),
    Known("ready after a failed connect", "select's third list after a failure is Wine's matter",
          stock="'select'", ours="'select'"),
    Known("a file that does not stand at its beginning",
          "stock counts from the beginning, though it sends from where the file stands: docs/python.md",
          step=r"^sendfile\(", before=r"g\.(seek|read|readline)\([^\n]*\)$"),
    Known("a file whose position is None",
          "stock sends it from where it stands, and then cannot add to None; ours takes None for 0",
          step=r"^sendfile\(\w+, \w+, None", stock=r"^\(\('raised', 'builtins\.TypeError'"),
    Known("a backlog of 0",
          "the kernel holds one connection. Ours takes more: AcceptEx operations stay posted between calls",
          step=r"connect(_ex|ion)?\(", stock="BLOCKED", before=r"(listen\(|backlog=)(0|-1)\)[\s\S]*accept\("),
    Known("two gigabytes",
          "the stock call allocates all that is asked for, which takes longer than the fuzzer waits",
          step=r"\(2\*\*31-1\)$", stock="BLOCKED"),
    Known("the name after a refused connect",
          "ConnectEx needs a bound socket: ours has a name after a connect that the system refuses at once",
          step=r"^(state|\w+\.getsockname)\(", stock="10022", ours=r"'port\d",
          before=r"connect(_ex)?\(\('::ffff:"),
    Known("a file to a peer that is gone",
          "the first send succeeds; stock makes two of a file of more than 8 KiB, ours one",
          step=r"^sendfile\(", stock=r"1005[34]", ours=r"^\('\d+'", before=r"close\(\)|shutdown"),
    Known("a handle that does not wait",
          "a socket made from a handle that another object has made non-blocking waits: docs/python.md",
          stock=r"10035", ours=r"BLOCKED|TimeoutError|^(?!\('raised')",
          before=r"dup\(|from(fd|share)\(|fileno"),
    Known("ciphertext",
          "after `shutdown` or `unwrap` a TLS socket gives the records themselves, which are random",
          before=r"tls\([\s\S]*(shutdown|unwrap|detach|dup|share|fileno)"),
)


def known(steps, stock, ours):
    """The entry that explains the difference of the last of these steps, or None."""
    *earlier, step = steps
    for entry in KNOWN:
        found = ((entry.step, step), (entry.stock, str(stock)), (entry.ours, str(ours)),
                 (entry.before, "\n".join(earlier)))
        if all(re.search(pattern, text) for pattern, text in found):
            return entry
    return None
