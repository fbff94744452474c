# Connection: a TCP connection, from before its first address is tried until its socket is closed.
#
# This file holds the record and its life; lent, receiver, sender, closer and connector each own a part of the
# record and the mechanism that works on it.
#
#     CONNECTING --ConnectEx succeeds--> OPEN --tcp_close--> CLOSING --all is sent and drained--> CLOSED
#         |  \                           (an accepted connection begins here)
#         |   +--the last address fails--> FAILED      its socket is closed by tcp_close
#         +------tcp_close, or no peer after it-------------------------------------------------> CLOSED
#
# Owner: the runtime holds one reference, which tcp_close takes; each posted op holds one. The socket is
# closed once, by the closer or the connector, independently of the memory, which goes with the last
# reference. All connections are in one list, for the end of the process.
# Threads: fields are read and written under source.lock, except those set before the connection is published.

cdef enum:
    CONNECTION_KEEPALIVE = 0        # wanted_flags: SO_KEEPALIVE
    CONNECTION_NODELAY              # wanted_flags: TCP_NODELAY
    CONNECTION_FLAGS
    CONNECTION_RETRY = PORT_TICK    # milliseconds before a failure for lack of memory is tried again
    SENDER_POSTED = 2               # sends outstanding (engine/sender.pyx)
    CONNECTION_SLOWEST = 32768      # bytes a second: a peer that takes as many is seen to read, by whatever
                                    # system ...
    CONNECTION_BOUNDED = 32         # ... if it is to be seen in less than so many seconds

cdef enum ConnectionState:
    CONNECTION_CONNECTING           # resolving a name or trying addresses
    CONNECTION_OPEN
    CONNECTION_FAILED               # no address could be connected: connect_error says why; the last socket
                                    # tried is kept
    CONNECTION_CLOSING              # the runtime let go: flushing, draining
    CONNECTION_CLOSED

cdef enum ReceivingState:           # engine/receiver.pyx
    RECEIVING = 0                   # the stream goes on: receives are posted as the rules allow
    RECEIVING_UNBUFFERED            # one failed for lack of memory: the next has no buffer
    RECEIVING_SIGNALLED             # a receive without a buffer ended: a read will tell more, and nothing is
                                    # posted before
    RECEIVING_ENDED                 # the end of the stream, or an error, was received; bytes before it may be
                                    # unread
    RECEIVING_OVER                  # and it was delivered: every read returns it

cdef enum SendingState:             # engine/sender.pyx
    SENDING = 0
    SENDING_SHUTDOWN                # the runtime sends no more: FIN goes out behind the queue
    SENDING_FINISHED                # and went
    SENDING_ABORTED                 # no FIN: the close resets the connection

cdef enum ClosingState:             # engine/closer.pyx
    CLOSING_NOT = 0
    CLOSING_FLUSH                   # the receives are cancelled, the queue is sent
    CLOSING_DRAIN                   # what the peer still sends is thrown away
    CLOSING_EXPIRED                 # the time for that is over

cdef enum LentState:                # somebody else uses the socket as well (engine/lent.pyx)
    LENT_NOT = 0
    LENT_ASKED                      # the handle was asked for: no receive is posted, those that are come back
    LENT_OUT                        # somebody has it, for good

ctypedef void (*connection_proc)(Connection *connection) noexcept nogil
ctypedef void (*connection_departed_proc)(Listener *listener) noexcept nogil

cdef struct Receiving:              # receiver's part
    int state                       # RECEIVING_
    int error                       # OVER: a Winsock code, or 0 at the end of the stream
    Queue ops                       # receives in the order in which they were posted, posted and done alike:
                                    # bytes are delivered from the front, so in that order, whoever completes
                                    # them
    int posted                      # how many are the kernel's
    DWORD size                      # bytes of the next receive buffer, where the runtime has set none
    bint awaited                    # a caller blocked to read: no direct receives, until events are asked for
                                    # again
    size_t unread                   # bytes received and not delivered
    size_t held                     # bytes of memory in the queue: posted, or holding them
    Timer retry                     # what failed for lack of memory is tried again

cdef struct Sending:                # sender's part
    int state                       # SENDING_
    int error                       # Winsock code of a failed send; everything after it fails with the same
    int lost                        # the same, if the runtime was told that the bytes are sent: its reads
                                    # tell of it too
    Queue ops                       # data that the kernel did not take at once ...
    Op *waiting                     # ... up to here it was posted; NULL: to the end
    Op *ends[SENDER_POSTED]         # the first op of each posted send, in their order
    int posted                      # how many: those that ended behind one that has not count too
    bint cut_short                  # one of them has sent less than it was to send
    bint begun                      # the kernel was given bytes of the stream
    size_t bytes                    # in the queue
    DWORD failed                    # bytes of a send that failed for lack of memory
    DWORD limit                     # bytes of the next send, while sends fail for lack of memory; 0: no limit
    Timer retry                     # what failed for lack of memory is tried again

cdef struct Closing:                # closer's part
    int state                       # CLOSING_
    connection_proc step            # goes on with it when an operation has ended; NULL: the connection is not
                                    # being closed
    Op *drain                       # the posted receive that throws away what still comes
    size_t drained                  # bytes thrown away
    ULONGLONG seen                  # GetTickCount64 when the peer was last seen to have taken something
    size_t bytes                    # of the queue, then
    ULONGLONG taken                 # bytes that the peer had acknowledged, then, if the system says so
    Timer timer                     # a bound of the flush, or of the drain

cdef struct Lent:                   # lent's part
    int state                       # LENT_
    int maybe                       # READY_ bits of which nothing has said that they do not hold
    Op *polls[2]                    # posted, for reading and for writing; NULL: none
    bint over                       # the connection was reset: every call on it will tell

cdef struct Connection:
    Source source                   # first: a Source * to it is the Connection *
    Settings settings
    int state
    SOCKET socket
    Receiving recv
    Sending send
    Closing close
    Lent lent

    Link accepted                   # in a listener's queue of accepted connections
    bint arriving                   # there it is not adopted yet
    Endpoint *endpoint              # of that listener, where it came in ...
    LONGLONG slot                   # ... and the number of its slot
    int wanted_flags[CONNECTION_FLAGS]  # keepalive, nodelay: what the runtime asked for; -1: nothing
    sockaddr_in6 peer               # accepted connections: the peer's address, 0 bytes otherwise
    int peer_length

    Connector *connector            # while connecting
    bint connect_tried              # an address was tried; a failure before that is the runtime's own (a bad
                                    # local address)
    int connect_error               # Winsock code, when FAILED
    int pending_error               # the same, until the runtime has asked for it: told once

    Listener *origin                # who accepted it, if that counts its connections; held
    connection_departed_proc departed   # it is to hear when the connection is gone
    Link living                     # in the queue of all, under its lock

cdef struct Living:
    SRWLOCK lock                    # of the queue; taken with a source's lock held or without
    Queue connections
    bint ending                     # the process is about to end: nothing is received that no caller waits
                                    # for

cdef Living living


cdef Connection *connection_new(SOCKET sock) noexcept nogil:
    """A connection for `sock`, which is associated with the port and connected, or INVALID_SOCKET to connect
    later. NULL when memory is exhausted: the socket is then still the caller's."""
    cdef Connection *connection = <Connection *>memory_new(sizeof(Connection))
    if connection == NULL:
        return NULL
    source_init(&connection.source, SOURCE_CONNECTION, connection_release)
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
    """The first of all connections, or the one behind `last`, with a reference; that to `last` is given up.
    NULL: no more."""
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
    """The last reference is gone, so nothing is posted and the socket is closed."""
    cdef Connection *connection = <Connection *>source
    connection_delist(connection)
    connection_free_ops(&connection.recv.ops)
    connection_free_ops(&connection.send.ops)
    if connection.origin != NULL:
        connection.departed(connection.origin)
    counter_gone(COUNTER_connections)
    memory_free(connection, sizeof(Connection))


cdef inline void connection_no_flags(int *wanted) noexcept nogil:
    wanted[CONNECTION_KEEPALIVE] = wanted[CONNECTION_NODELAY] = -1


cdef void connection_apply_flags(Connection *connection) noexcept nogil:
    """Give a new socket the options that were asked for. As long as nobody asks for it, there is no Nagle's
    algorithm: a runtime hands a message over in pieces, and the last would wait until the peer acknowledges
    those before it, which a peer puts off (by 40 ms on Linux, up to 200 on Windows) when it waits for all of
    the message."""
    cdef int flag
    for flag in range(CONNECTION_FLAGS):
        if connection.wanted_flags[flag] >= 0:
            connection_set_flag(connection, flag, connection.wanted_flags[flag])
    if connection.wanted_flags[CONNECTION_NODELAY] < 0:
        winsock_flag(connection.socket, IPPROTO_TCP, TCP_NODELAY, 1)
    connection_bound_buffer(connection)


cdef int connection_bound() noexcept nogil:
    """Bytes that the system may be given at most, or 0 where there is no bound. Where it does not tell what
    the peer takes, only the end of a send shows it, and a send may end only when what was given before is
    gone. So where `closetimeout` is short, that is not more than a peer that reads can take in this time."""
    cdef int seconds = settings_of_process(SETTING_closetimeout)
    return seconds * CONNECTION_SLOWEST if winsock.no_tcp_info and 0 < seconds < CONNECTION_BOUNDED else 0


cdef void connection_bound_buffer(Connection *connection) noexcept nogil:
    """The system's buffer is not larger than the bound."""
    cdef int bound = connection_bound()
    if bound:
        winsock_flag(connection.socket, SOL_SOCKET, SO_SNDBUF, bound)


cdef int connection_set_flag(Connection *connection, int flag, int value) noexcept nogil:
    """Set a socket option of the connection, now and on every socket that it is still to get: 0 or a Winsock
    code, and then nothing has changed. With the lock held."""
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
    """Whether a read would return something of what the engine has: data, end of file or an error."""
    cdef Op *op = <Op *>queue_first(&connection.recv.ops)
    if op != NULL:
        return op.done
    if connection.recv.state == RECEIVING_SIGNALLED or connection.recv.state == RECEIVING_OVER:
        return True
    return connection.send.lost != 0


cdef inline bint connection_writable(Connection *connection) noexcept nogil:
    """Whether there is room in the queue, or a write would return an error."""
    if connection.send.error:
        return True
    if connection.lent.state == LENT_OUT:
        return False
    return connection.send.bytes <= <size_t>connection.settings.value[SETTING_sendlimit] // 2


cdef int connection_ready(Connection *connection) noexcept nogil:
    """READY_ bits that hold now, or, where somebody else uses the socket, that may hold. With the lock
    held."""
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
    """Release the lock after a change, and tell who waits for it."""
    source_unlock_changed(&connection.source, connection_ready(connection))


cdef void connection_ended(Connection *connection) noexcept nogil:
    """An operation has ended and is accounted for: go on with closing, if that waits for it. Releases the
    lock."""
    if connection.close.step != NULL:
        connection.close.step(connection)
    connection_unlock(connection)
