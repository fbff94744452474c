# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# cython: binding=True, freethreading_compatible=False
"""iocpsock: TCP sockets on Windows I/O completion ports, for Tcl and Python, in one DLL.

This file is the whole module: it includes its parts, bottom layer first, and the order IS the layering. A
part uses only what stands above it. The engine and the Tcl side are C in all but syntax (`noexcept nogil`, no
Python object, no call into Python): in a Tcl process without Python the module initialisation below never
runs, so no part of them may rely on a value assigned at module level. Static data starts as zero; tables and
constants live in include/.
"""

include "engine/api.pyx"
include "engine/counter.pyx"
include "engine/flag.pyx"
include "engine/memory.pyx"
include "engine/page.pyx"
include "engine/settings.pyx"
include "engine/error.pyx"
include "engine/consumer.pyx"
include "engine/op.pyx"
include "engine/winsock.pyx"
include "engine/deadline.pyx"
include "engine/port.pyx"
include "engine/address.pyx"
include "engine/resolver.pyx"
include "engine/connection.pyx"
include "engine/direct.pyx"
include "engine/lent.pyx"
include "engine/receiver.pyx"
include "engine/sender.pyx"
include "engine/closer.pyx"
include "engine/connector.pyx"
include "engine/endpoint.pyx"
include "engine/listener.pyx"
include "engine/patience.pyx"
include "engine/guard.pyx"
include "engine/waiter.pyx"
include "engine/bulk.pyx"
include "engine/acceptor.pyx"

include "tcl/api.pyx"
include "tcl/error.pyx"
include "tcl/notifier.pyx"
include "tcl/option.pyx"
include "tcl/channel.pyx"
include "tcl/server.pyx"
include "tcl/command.pyx"
include "tcl/configure.pyx"
include "tcl/package.pyx"

include "python/error.pyx"
include "python/configure.pyx"
include "python/interrupt.pyx"
include "python/lookup.pyx"
include "python/call.pyx"
include "python/accept.pyx"
include "python/sendfile.pyx"
include "python/socket.pyx"
include "python/turn.pyx"
include "python/stream.pyx"
include "python/module.pyx"
