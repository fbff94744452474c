# Channel: the record behind a Tcl channel.
#
# Owner: the record belongs to Tcl's channel. The driver frees it at the close (tcl/driver.pyx). The record
# holds the runtime's reference to its connection or listener. The engine's object points back by
# source.context, which only the channel's thread follows.
# Threads: all on the Tcl thread that has the channel.

ctypedef void (*channel_proc)(Channel *channel) noexcept nogil
ctypedef void (*server_proc)(Server *server) noexcept nogil

cdef struct Channel:
    Tcl_Channel channel
    Connection *connection          # one of these two is NULL
    Listener *listener
    Server *server                  # of a listener: the script to call
    channel_proc event              # services an event of the source
    server_proc closed              # called with the server when the channel is closed; NULL: no server
    bint blocking
    bint input_closed               # the script has closed the reading side
    bint event_queued               # a Tcl event for it is in the thread's queue
    int watched                     # TCL_READABLE | TCL_WRITABLE
    Link told                       # in its thread's queue of told channels, or in none
    int wrote                       # the result of the last write: a count, or -1
    Link refused                    # in its thread's queue of refused channels, or in none


cdef inline Source *channel_source(Channel *channel) noexcept nogil:
    return &channel.connection.source if channel.connection != NULL else &channel.listener.source


cdef void channel_ask(Channel *channel) noexcept nogil:
    """Queue another event for a connection if a condition that Tcl watches holds."""
    source_lock(&channel.connection.source)
    connection_unlock(channel.connection)


cdef void channel_wrote(Channel *channel, int count) noexcept nogil:
    """Store the result of a write. Also called when the channel no longer belongs to the thread."""
    channel.wrote = count
    if channel.refused.queue != NULL:
        queue_remove(&channel.refused)
