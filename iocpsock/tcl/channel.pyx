# Channel: the record behind a Tcl channel.
#
# Owner: the record belongs to Tcl's channel and ends when the driver closes it (tcl/driver.pyx); it holds the
# runtime's reference to its connection or listener. The engine's object points back by source.context, which
# only the channel's thread follows.
# Threads: all on the Tcl thread that has the channel.

ctypedef void (*channel_proc)(Channel *channel) noexcept nogil
ctypedef void (*server_proc)(Server *server) noexcept nogil

cdef struct Channel:
    Tcl_Channel channel
    Connection *connection          # one of these two is NULL
    Listener *listener
    Server *server                  # of a listener: what to call
    channel_proc event              # serves an event of the source
    server_proc closed              # what becomes of the server when the channel is closed; NULL: there is
                                    # none
    bint blocking
    bint input_closed               # the script has closed the reading side
    bint event_queued               # a Tcl event for it is in the thread's queue
    int watched                     # TCL_READABLE | TCL_WRITABLE
    Link told                       # in its thread's queue of told channels, or nowhere
    int wrote                       # what the last write came to: a count, or -1
    Link refused                    # likewise in its queue of refused channels


cdef inline Source *channel_source(Channel *channel) noexcept nogil:
    return &channel.connection.source if channel.connection != NULL else &channel.listener.source


cdef void channel_ask(Channel *channel) noexcept nogil:
    """Have another event for a connection, if what it is watched for holds."""
    source_lock(&channel.connection.source)
    connection_unlock(channel.connection)


cdef void channel_wrote(Channel *channel, int count) noexcept nogil:
    """A write came to this, or the channel is the thread's no more."""
    channel.wrote = count
    if channel.refused.queue != NULL:
        queue_remove(&channel.refused)
