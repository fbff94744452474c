# Notifier: the event source that brings the engine's news into a Tcl thread's event loop.
#
# Each Tcl thread that has sockets owns one consumer. A completion thread that has news puts the source on the consumer's
# queue and alerts the thread, once for a batch. The thread's check procedure turns each ready source into one Tcl event,
# so `vwait` and `update` see them one by one, as with the stock sockets; the event asks the source what is true then.
# Owner: the thread, until its exit handler. A queued Tcl event holds a reference to its source.
# Threads: all on the Tcl thread, except notifier_wake.

cdef struct TclThread:
    Consumer *consumer
    Tcl_ThreadId identifier

cdef struct SourceEvent:
    Tcl_Event event                 # first: Tcl frees it
    Source *source                  # held

cdef struct Notifier:
    SRWLOCK lock
    LONG allocated
    DWORD tls                       # index of the thread's TclThread

cdef Notifier notifier


cdef bint notifier_start() noexcept nogil:
    """Reserve the thread-local slot, once for the process."""
    AcquireSRWLockExclusive(&notifier.lock)
    if not notifier.allocated:
        notifier.tls = TlsAlloc()
        notifier.allocated = notifier.tls != <DWORD>TLS_OUT_OF_INDEXES
    ReleaseSRWLockExclusive(&notifier.lock)
    return notifier.allocated != 0


cdef TclThread *notifier_thread() noexcept nogil:
    """The calling thread's record, made and registered with Tcl at first use. Tcl_Alloc does not return without memory;
    NULL when the engine has none."""
    cdef TclThread *thread = <TclThread *>TlsGetValue(notifier.tls)
    if thread != NULL:
        return thread
    thread = <TclThread *>Tcl_Alloc(sizeof(TclThread))
    thread.identifier = Tcl_GetCurrentThread()
    thread.consumer = consumer_new(notifier_wake, <void *>thread.identifier)
    if thread.consumer == NULL:
        Tcl_Free(thread)
        return NULL
    TlsSetValue(notifier.tls, thread)
    Tcl_CreateEventSource(notifier_setup, notifier_check, thread)
    Tcl_CreateThreadExitHandler(notifier_thread_exit, thread)
    return thread


cdef void notifier_thread_exit(void *data) noexcept nogil:
    """The thread ends. Its channels are closed by Tcl after this, and need no record for that."""
    cdef TclThread *thread = <TclThread *>data
    Tcl_DeleteEventSource(notifier_setup, notifier_check, thread)
    Tcl_DeleteEvents(notifier_discard, NULL)
    consumer_close(thread.consumer)
    TlsSetValue(notifier.tls, NULL)
    Tcl_Free(thread)


cdef void notifier_wake(void *identifier) noexcept nogil:
    """On any thread: end the Tcl thread's sleep."""
    Tcl_ThreadAlert(<Tcl_ThreadId>identifier)


cdef void notifier_setup(void *data, int flags) noexcept nogil:
    """Before Tcl waits: it must not, if there is news."""
    if flags & TCL_FILE_EVENTS and consumer_has_ready((<TclThread *>data).consumer):
        tcl_poll_now()


cdef void notifier_check(void *data, int flags) noexcept nogil:
    """After Tcl waited: queue one event for each ready source."""
    cdef Source *source
    cdef Channel *channel
    if not flags & TCL_FILE_EVENTS:
        return
    while True:
        source = consumer_next((<TclThread *>data).consumer)
        if source == NULL:
            return
        channel = <Channel *>source.context
        if channel == NULL or channel.event_queued:         # closed, or the queued event will see this news too
            source_drop(source)
            continue
        channel.event_queued = True
        notifier_queue(source)


cdef void notifier_queue(Source *source) noexcept nogil:
    """Queue the Tcl event for `source`, with its reference."""
    cdef SourceEvent *event = <SourceEvent *>Tcl_Alloc(sizeof(SourceEvent))
    event.event.proc = notifier_event
    event.source = source
    Tcl_QueueEvent(&event.event, TCL_QUEUE_TAIL)


cdef int notifier_event(Tcl_Event *event, int flags) noexcept nogil:
    """Tcl services the event: 1 when done, 0 to be asked again."""
    cdef Source *source = (<SourceEvent *>event).source
    cdef Channel *channel = <Channel *>source.context
    if not flags & TCL_FILE_EVENTS:
        return 0
    source_drop(source)                                     # before the handlers: one of them may end the thread. The
    if channel == NULL:                                     # channel, while it is open, holds a reference of its own
        return 1
    channel.event_queued = False
    if channel.listener != NULL:
        server_event(channel)
    else:
        channel_event(channel)
    return 1


cdef int notifier_discard(Tcl_Event *event, void *source) noexcept nogil:
    """For Tcl_DeleteEvents: forget the events of `source`, or all of ours if NULL."""
    if event.proc != notifier_event or (source != NULL and (<SourceEvent *>event).source != source):
        return 0
    source_drop((<SourceEvent *>event).source)
    return 1
