# Connection: a TCP connection, from before its first address is tried until its socket is closed.
#
# This file holds the record and its lifetime. Lent, receiver, sender, closer and connector each own a part of
# the record and the code that works on it.
#
#     CONNECTING --ConnectEx succeeds--> OPEN --tcp_close--> CLOSING --all is sent and drained--> CLOSED
#         |  \                           (an accepted connection begins here)
#         |   +--the last address fails--> FAILED      its socket is closed by tcp_close
#         +------tcp_close, or no peer after it-------------------------------------------------> CLOSED
#
# Owner: the runtime holds one reference, which tcp_close consumes; each posted op holds one. The closer or
# the connector closes the socket once, independently of the memory, which is freed with the last reference.
# All connections are in one list, which is used at the end of the process.
# Threads: fields are read and written under source.lock, except those set before the connection is published.

cdef enum:
    CONNECTION_KEEPALIVE = 0        # wanted_flags: SO_KEEPALIVE
    CONNECTION_NODELAY              # wanted_flags: TCP_NODELAY
    CONNECTION_FLAGS
    CONNECTION_RETRY = PORT_TICK    # milliseconds before what failed for lack of memory is retried
    SENDER_POSTED = 2               # sends outstanding (engine/sender.pyx)
    CONNECTION_SLOWEST = 32768      # bytes a second: of a peer that takes this many, every system can tell
                                    # that it reads ...
    CONNECTION_BOUNDED = 32         # ... where that must show within fewer than this many seconds

cdef enum ConnectionState:
    CONNECTION_CONNECTING           # resolving a name or trying addresses
    CONNECTION_OPEN
    CONNECTION_FAILED               # no address could be connected: connect_error has the reason; the last
                                    # socket tried is kept
    CONNECTION_CLOSING              # the runtime closed it: the engine flushes and drains
    CONNECTION_CLOSED

cdef enum ReceivingState:           # engine/receiver.pyx
    RECEIVING = 0                   # the stream continues: receives are posted as the rules allow
    RECEIVING_UNBUFFERED            # a receive failed for lack of memory: the next has no buffer
    RECEIVING_SIGNALLED             # a receive without a buffer ended: the runtime must read before the next
                                    # receive is posted
    RECEIVING_ENDED                 # the end of the stream, or an error, was received; bytes before it may be
                                    # unread
    RECEIVING_OVER                  # and it was delivered: every further read returns it

cdef enum SendingState:             # engine/sender.pyx
    SENDING = 0
    SENDING_SHUTDOWN                # the runtime sends no more: FIN follows the queue
    SENDING_FINISHED                # and FIN was sent
    SENDING_ABORTED                 # no FIN is sent: the close resets the connection

cdef enum ClosingState:             # engine/closer.pyx
    CLOSING_NOT = 0
    CLOSING_FLUSH                   # the receives are cancelled, the queue is sent
    CLOSING_DRAIN                   # what the peer still sends is discarded
    CLOSING_EXPIRED                 # the time for the flush or the drain has expired

cdef enum LentState:                # other code uses the socket as well (engine/lent.pyx)
    LENT_NOT = 0
    LENT_ASKED                      # the handle was requested: no new receive is posted, and posted ones are
                                    # cancelled
    LENT_OUT                        # other code has it, for good

ctypedef void (*connection_proc)(Connection *connection) noexcept nogil
ctypedef void (*connection_departed_proc)(Listener *listener) noexcept nogil

cdef struct Receiving:              # receiver's part
    int state                       # RECEIVING_
    int error                       # OVER: a Winsock code, or 0 at the end of the stream
    Queue ops                       # receives, posted and done, in the order of posting: bytes are delivered
                                    # from the front, so in stream order, whichever thread completes them
    int posted                      # how many the kernel owns
    DWORD size                      # size of the next receive buffer, if the runtime has set none
    bint awaited                    # a caller blocked to read: no direct receives until the runtime asks for
                                    # events again
    size_t unread                   # bytes received but not delivered
    size_t held                     # bytes of buffers in the queue: posted, or with undelivered data
    Timer retry                     # retries what failed for lack of memory

cdef struct Sending:                # sender's part
    int state                       # SENDING_
    int error                       # Winsock code of a failed send; everything after it fails with the same
    int lost                        # the same, if a call had reported the lost bytes as sent: reads fail with
                                    # it too
    DWORD low                       # uncapped: the runtime may write again at so many bytes in the queue
    Queue ops                       # data that the kernel did not accept at once ...
    Op *waiting                     # ... the first op that is not posted; NULL: all are posted
    Op *ends[SENDER_POSTED]         # the first op of each posted send, in order
    int posted                      # how many; includes sends that ended while an earlier one has not
    bint cut_short                  # one of them sent fewer bytes than posted
    bint begun                      # the kernel has accepted bytes of the stream
    bint uncapped                   # the queue takes all that is written: the runtime has water marks
    size_t bytes                    # in the queue
    DWORD failed                    # bytes of a send that failed for lack of memory
    DWORD limit                     # bytes of the next send, while sends fail for lack of memory; 0: no limit
    Timer retry                     # retries what failed for lack of memory

cdef struct Closing:                # closer's part
    int state                       # CLOSING_
    connection_proc step            # called when an operation has ended, to continue the close; NULL: the
                                    # connection is not being closed
    Op *drain                       # the posted receive that discards what still arrives
    size_t drained                  # bytes discarded
    ULONGLONG seen                  # GetTickCount64 when the peer was last seen to take data
    size_t bytes                    # in the queue at that time
    ULONGLONG taken                 # bytes that the peer had acknowledged at that time, if the system tells
    Timer timer                     # bounds the flush, or the drain

cdef struct Lent:                   # lent's part
    int state                       # LENT_
    int maybe                       # READY_ bits that may hold: nothing has shown that they do not
    Op *polls[2]                    # posted, for reading and for writing; NULL: none
    bint over                       # the connection was reset: every call on it will return the error

cdef struct Connection:
    Source source                   # first: a Source * to it is the Connection *
    Settings settings
    int state
    bint arriving                   # it is in a listener's queue but not adopted yet
    SOCKET socket
    Receiving recv
    Sending send
    Closing close
    Lent lent

    Link accepted                   # in a listener's queue of accepted connections
    Endpoint *endpoint              # the endpoint of that listener that accepted it ...
    LONGLONG slot                   # ... and the number of its slot
    int wanted_flags[CONNECTION_FLAGS]  # keepalive, nodelay: what the runtime asked for; -1: nothing
    sockaddr_in6 peer               # accepted connections: the peer's address, 0 bytes otherwise
    int peer_length

    Connector *connector            # while connecting
    bint connect_tried              # an address was tried; a failure before that is the runtime's fault (a
                                    # bad local address)
    int connect_error               # Winsock code, when FAILED
    int pending_error               # the same, until the runtime has asked for it: reported once
    bint without_context            # accepted, and Winsock does not know it as connected: the call failed

    Listener *origin                # the listener that accepted it, if that counts its connections; holds a
                                    # reference
    connection_departed_proc departed   # called when the connection is gone
    Link living                     # in the queue of all connections, under that queue's lock

cdef struct Living:
    SRWLOCK lock                    # of the queue; taken with or without a source's lock held
    Queue connections
    bint ending                     # the process is about to end: receives are posted only for a caller that
                                    # waits

cdef Living living


cdef Connection *connection_new(SOCKET sock, Port *port) noexcept nogil:
    """A connection for `sock`, which is connected and associated with the port, or is INVALID_SOCKET to
    connect later. NULL if out of memory: the caller then still owns the socket."""
    cdef Connection *connection = <Connection *>memory_new(sizeof(Connection))
    if connection == NULL:
        return NULL
    port_hold(port)
    source_init(&connection.source, SOURCE_CONNECTION, port, connection_release)
    connection.socket = sock
    connection.state = CONNECTION_CONNECTING if sock == INVALID_SOCKET else CONNECTION_OPEN
    connection.recv.size = OP_SMALL
    connection_no_flags(connection.wanted_flags)
    settings_init(&connection.settings)
    counter_born(COUNTER_connections)
    connection_enlist(connection)
    return connection


cdef void connection_enlist(Connection *connection) noexcept nogil:
    AcquireSRWLockExclusive(&living.lock)
    queue_prepend(&living.connections, &connection.living, connection)
    ReleaseSRWLockExclusive(&living.lock)


cdef void connection_delist(Connection *connection) noexcept nogil:
    AcquireSRWLockExclusive(&living.lock)
    queue_remove(&connection.living)
    ReleaseSRWLockExclusive(&living.lock)


cdef Connection *connection_living(Connection *last) noexcept nogil:
    """The first of all connections, or the one after `last`, with a reference; the reference to `last` is
    dropped. NULL: no more."""
    cdef Connection *connection
    AcquireSRWLockExclusive(&living.lock)
    connection = <Connection *>(queue_next(&last.living) if last != NULL
                                else queue_first(&living.connections))
    while connection != NULL and not source_hold_living(&connection.source):
        connection = <Connection *>queue_next(&connection.living)
    ReleaseSRWLockExclusive(&living.lock)
    if last != NULL:
        source_drop(&last.source)
    return connection


cdef void connection_release(Source *source) noexcept nogil:
    """The last reference is gone: no op is posted and the socket is closed."""
    cdef Connection *connection = <Connection *>source
    connection_delist(connection)
    connection_free_ops(&connection.recv.ops)
    connection_free_ops(&connection.send.ops)
    if connection.origin != NULL:
        connection.departed(connection.origin)
    counter_gone(COUNTER_connections)
    port_drop(source.port)
    memory_free(connection, sizeof(Connection))


cdef inline void connection_no_flags(int *wanted) noexcept nogil:
    wanted[CONNECTION_KEEPALIVE] = wanted[CONNECTION_NODELAY] = -1


cdef void connection_apply_flags(Connection *connection) noexcept nogil:
    """Set the options that the runtime asked for on a new socket. Unless the runtime asks for it, Nagle's
    algorithm is off: a runtime passes a message in pieces, and Nagle's algorithm would hold the last piece
    until the peer acknowledges the earlier ones. A peer that waits for the whole message delays that
    acknowledgement (by 40 ms on Linux, up to 200 on Windows)."""
    cdef int flag
    for flag in range(CONNECTION_FLAGS):
        if connection.wanted_flags[flag] >= 0:
            connection_set_flag(connection, flag, connection.wanted_flags[flag])
    if connection.wanted_flags[CONNECTION_NODELAY] < 0:
        winsock_flag(connection.socket, IPPROTO_TCP, TCP_NODELAY, 1)
    connection_bound_buffer(connection)


cdef int connection_bound() noexcept nogil:
    """The most bytes that the engine gives the system at a time, or 0 for no bound. Where the system does not
    tell how much the peer took, only the end of a send shows it, and a send may end only when all earlier
    bytes are gone. So with a short `closetimeout` the bound is what a peer that reads can take in that
    time."""
    cdef int seconds = settings_of_process(SETTING_closetimeout)
    return seconds * CONNECTION_SLOWEST if winsock.no_tcp_info and 0 < seconds < CONNECTION_BOUNDED else 0


cdef void connection_bound_buffer(Connection *connection) noexcept nogil:
    """Limit the system's send buffer to the bound."""
    cdef int bound = connection_bound()
    if bound:
        winsock_flag(connection.socket, SOL_SOCKET, SO_SNDBUF, bound)


cdef int connection_set_flag(Connection *connection, int flag, int value) noexcept nogil:
    """Set a socket option on the connection's socket and on every later one: 0, or a Winsock code, and then
    nothing has changed. With the lock held."""
    cdef int error = 0
    if connection.socket != INVALID_SOCKET and flag == CONNECTION_KEEPALIVE:
        error = winsock_flag(connection.socket, SOL_SOCKET, SO_KEEPALIVE, value)
    elif connection.socket != INVALID_SOCKET:
        error = winsock_flag(connection.socket, IPPROTO_TCP, TCP_NODELAY, value)
    if not error:
        connection.wanted_flags[flag] = value
    return error


cdef void connection_free_ops(Queue *ops) noexcept nogil:
    cdef Op *op = <Op *>queue_take(ops)
    while op != NULL:
        op_free(op)
        op = <Op *>queue_take(ops)


cdef inline bint connection_readable(Connection *connection) noexcept nogil:
    """Whether a read would return data, end of file or an error that the engine already has."""
    cdef Op *op = <Op *>queue_first(&connection.recv.ops)
    if op != NULL:
        return op.done
    if connection.recv.state == RECEIVING_SIGNALLED or connection.recv.state == RECEIVING_OVER:
        return True
    return connection.send.lost != 0


cdef inline size_t connection_low(Connection *connection) noexcept nogil:
    """Bytes in the queue at which the runtime is notified that it may write again."""
    return connection.send.low if connection.send.uncapped \
        else <size_t>connection.settings.value[SETTING_sendlimit] // 2


cdef inline bint connection_writable(Connection *connection) noexcept nogil:
    """Whether there is room in the queue, or a write would return an error."""
    if connection.send.error:
        return True
    if connection.lent.state == LENT_OUT:
        return False
    return connection.send.bytes <= connection_low(connection)


cdef int connection_ready(Connection *connection) noexcept nogil:
    """READY_ bits that hold now or, if other code uses the socket, may hold. With the lock held."""
    cdef int ready = 0
    if connection.state == CONNECTION_FAILED:
        return READY_READ | READY_WRITE
    if connection.state != CONNECTION_OPEN:
        return 0
    if connection.lent.state == LENT_OUT:
        ready = connection.lent.maybe
    if connection_readable(connection):
        ready |= READY_READ
    if connection_writable(connection):
        ready |= READY_WRITE
    return ready


cdef void connection_unlock(Connection *connection) noexcept nogil:
    """Release the lock after a change, and notify whoever waits for it."""
    source_unlock_changed(&connection.source, connection_ready(connection))


cdef void connection_ended(Connection *connection) noexcept nogil:
    """An operation has ended and is accounted for: continue a close that waits for it. Releases the lock."""
    if connection.close.step != NULL:
        connection.close.step(connection)
    connection_unlock(connection)
