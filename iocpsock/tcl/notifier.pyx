# Notifier: the Tcl event source that passes the engine's notifications to a Tcl thread's event loop.
#
# Each Tcl thread that has sockets owns one consumer. When a source becomes ready, a completion thread puts it
# on the consumer's queue and alerts the Tcl thread, once for a batch. The thread's check procedure queues one
# Tcl event for each ready source, so `vwait` and `update` process them one by one, as with the stock sockets.
# When Tcl services the event, the event asks the source for its current state.
#
# A thread becomes hot when its sleeps are short because the next message comes at once. A hot thread receives
# without a completion thread (engine/direct.pyx), and waits a moment for the next message before Tcl sleeps.
# If those waits succeed, the thread becomes eager: it waits at the end of its event already, so that Tcl need
# not ask all its event sources in between. A wait that brings nothing ends the eager state, or the hot state
# if the thread is not eager, and doubles the streak that is needed to return to it. Tcl's timers, idle tasks
# and other event sources get their turn at least every NOTIFIER_TURN milliseconds.
#
#     asleep  --`needed` short sleeps in a row-->  hot  --`needed` good waits in a row-->  eager
#             <--a wait that brings nothing------       <--a wait that brings nothing-----
#     `needed` begins at NOTIFIER_STREAK; each wait that brings nothing doubles it; a full streak while eager
#     sets it back.
#
# An event takes its source off the queue. Tcl sets the channel's watch mask again only after the handlers
# have run. Before that, a handler may run the event loop itself, while the condition that it was called for
# still holds. So a channel whose handlers run is in the list `told`. Setup and check go through that list,
# and a channel whose condition still holds gets another event.
# Owner: the thread, until its exit handler. A queued Tcl event holds a reference to its source.
# Threads: all on the Tcl thread, except notifier_wake.

cdef enum:
    NOTIFIER_LINGER = 1             # milliseconds to wait for the next message (polling_wait: or two)
    NOTIFIER_SHORT = 16             # milliseconds of a short sleep: one tick of Windows' clock. Tcl's own
                                    # waits end at such a tick
    NOTIFIER_STREAK = 8             # initially: short sleeps in a row to become hot, good waits in a row to
                                    # become eager
    NOTIFIER_STREAK_MOST = 8192     # the streak doubles after each wait that brings nothing, up to this
    NOTIFIER_TURN = 5               # milliseconds of our own waits before Tcl asks its other event sources

cdef struct TclThread:
    Consumer *consumer
    Tcl_ThreadId identifier
    int events                      # our events in Tcl's queue
    Queue told                      # channels whose handlers were called, and that were not asked since
    Queue refused                   # channels whose last write was refused: Tcl holds their unsent data
    bint eager
    int streak                      # short sleeps in a row; when hot, good waits in a row
    int needed                      # length that the streak must reach
    LONGLONG asleep                 # performance counter when Tcl went to sleep; 0 once it was woken
    LONGLONG short_sleep            # ticks of the performance counter in NOTIFIER_SHORT
    LONGLONG turn                   # performance counter when Tcl's other event sources last had their turn.
                                    # GetTickCount64 has a grain of 16 milliseconds, three times a turn
    LONGLONG turn_length            # ticks of the performance counter in NOTIFIER_TURN

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
    """Return the calling thread's record, made and registered with Tcl at first use. Tcl_Alloc does not
    return when memory is exhausted. NULL when the engine is out of memory."""
    cdef TclThread *thread = <TclThread *>TlsGetValue(notifier.tls)
    if thread != NULL:
        return thread
    thread = <TclThread *>Tcl_Alloc(sizeof(TclThread))
    memset(thread, 0, sizeof(TclThread))
    thread.identifier = Tcl_GetCurrentThread()
    thread.needed = NOTIFIER_STREAK
    QueryPerformanceFrequency(<LARGE_INTEGER *>&thread.short_sleep)
    thread.turn_length = thread.short_sleep * NOTIFIER_TURN // 1000
    thread.short_sleep = thread.short_sleep * NOTIFIER_SHORT // 1000
    thread.consumer = consumer_new(notifier_wake, <void *>thread.identifier)
    if thread.consumer == NULL:
        Tcl_Free(thread)
        return NULL
    TlsSetValue(notifier.tls, thread)
    Tcl_CreateEventSource(notifier_setup, notifier_check, thread)
    Tcl_CreateThreadExitHandler(notifier_thread_exit, thread)
    return thread


cdef void notifier_thread_exit(void *data) noexcept nogil:
    """The thread ends. Tcl closes its channels after this, and that needs no record."""
    cdef TclThread *thread = <TclThread *>data
    while thread.told.first != NULL:
        queue_take(&thread.told)
    while thread.refused.first != NULL:
        channel_wrote(<Channel *>queue_first(&thread.refused), 0)
    Tcl_DeleteEventSource(notifier_setup, notifier_check, thread)
    Tcl_DeleteEvents(notifier_discard, NULL)
    polling_end(thread.consumer)
    consumer_close(thread.consumer)
    source_drain(thread.consumer)
    consumer_drop(thread.consumer)
    TlsSetValue(notifier.tls, NULL)
    Tcl_Free(thread)


cdef void notifier_wake(void *identifier) noexcept nogil:
    """On any thread: end the Tcl thread's sleep."""
    Tcl_ThreadAlert(<Tcl_ThreadId>identifier)


cdef void notifier_setup(void *data, int flags) noexcept nogil:
    """Tcl calls this before it waits. Tcl must not wait if a source is ready, or while the thread is hot."""
    cdef TclThread *thread = <TclThread *>data
    if not flags & TCL_FILE_EVENTS:
        return
    notifier_ask_told(thread)
    if thread.consumer.hot and not flags & TCL_DONT_WAIT and thread.events == 0:
        if notifier_may_poll(thread):
            notifier_poll(thread)
        else:
            # This time Tcl asks all its event sources, and nobody waits.
            QueryPerformanceCounter(<LARGE_INTEGER *>&thread.turn)
    if thread.consumer.hot or consumer_has_ready(thread.consumer):
        tcl_poll_now()
    if not thread.consumer.hot and not flags & TCL_DONT_WAIT:
        QueryPerformanceCounter(<LARGE_INTEGER *>&thread.asleep)


cdef inline bint notifier_may_poll(TclThread *thread) noexcept nogil:
    cdef LONGLONG now
    QueryPerformanceCounter(<LARGE_INTEGER *>&now)
    return now - thread.turn < thread.turn_length


cdef bint notifier_poll(TclThread *thread) noexcept nogil:
    """Wait a moment for a ready source: True if there is one. The result adjusts the streak."""
    if polling_wait(thread.consumer, NOTIFIER_LINGER):
        thread.streak += 1
        if thread.streak >= thread.needed:
            thread.streak = 0
            if thread.eager:
                thread.needed = NOTIFIER_STREAK             # a full streak while eager sets it back
            thread.eager = True
        return True
    thread.streak = 0
    if thread.needed < NOTIFIER_STREAK_MOST:
        thread.needed *= 2
    if not thread.eager:
        polling_end(thread.consumer)
    thread.eager = False
    return False


cdef void notifier_woke(TclThread *thread) noexcept nogil:
    """Tcl's sleep is over. If a ready source ended it, a short sleep adds to the streak and a long one ends
    the streak. A source that became ready before the sleep counts as a short one."""
    cdef LONGLONG slept = thread.consumer.filled - thread.asleep
    if thread.asleep == 0 or not consumer_has_ready(thread.consumer):
        return
    if slept > thread.short_sleep:
        thread.streak = 0
    else:
        thread.streak += 1
        if thread.streak >= thread.needed:
            thread.streak = 0
            polling_begin(thread.consumer)
    thread.asleep = 0


cdef void notifier_check(void *data, int flags) noexcept nogil:
    """Tcl calls this after it has waited."""
    cdef TclThread *thread = <TclThread *>data
    if flags & TCL_FILE_EVENTS:
        notifier_woke(thread)
        direct_reap(thread.consumer)
        notifier_ask_told(thread)
        notifier_drain(thread)


cdef void notifier_tell(Channel *channel) noexcept nogil:
    """The channel's handlers are about to run."""
    cdef TclThread *thread = <TclThread *>TlsGetValue(notifier.tls)
    if channel.told.queue == NULL and thread != NULL:
        queue_prepend(&thread.told, &channel.told, channel)


cdef inline void notifier_untell(Channel *channel) noexcept nogil:
    """The channel has been asked for its state, or no longer belongs to the thread."""
    if channel.told.queue != NULL:
        queue_remove(&channel.told)


cdef void notifier_ask_told(TclThread *thread) noexcept nogil:
    """The event loop runs. Put those told channels on the ready queue that are ready for what Tcl watches.
    The others are notified when they become ready."""
    cdef Channel *channel = <Channel *>queue_take(&thread.told)
    while channel != NULL:
        channel_ask(channel)
        channel = <Channel *>queue_take(&thread.told)


cdef void notifier_drain(TclThread *thread) noexcept nogil:
    """Queue one event for each ready source."""
    cdef Source *source
    cdef Channel *channel
    while True:
        source = source_next(thread.consumer)
        if source == NULL:
            return
        channel = <Channel *>source.context
        # It is closed, or its queued event will see this change too.
        if channel == NULL or channel.event_queued:
            source_drop(source)
            continue
        channel.event_queued = True
        thread.events += 1
        notifier_queue(source)


cdef void notifier_queue(Source *source) noexcept nogil:
    """Queue the Tcl event for `source`, with its reference."""
    cdef SourceEvent *event = <SourceEvent *>Tcl_Alloc(sizeof(SourceEvent))
    event.event.proc = notifier_event
    event.source = source
    Tcl_QueueEvent(&event.event, TCL_QUEUE_TAIL)


cdef int notifier_event(Tcl_Event *event, int flags) noexcept nogil:
    """Tcl services the event. Return 1 when it is done, 0 to be called again."""
    cdef Source *source = (<SourceEvent *>event).source
    cdef Channel *channel = <Channel *>source.context
    if not flags & TCL_FILE_EVENTS:
        return 0
    notifier_taken()
    # Drop it before the handlers run, as one of them may end the thread. An open channel holds a reference of
    # its own.
    source_drop(source)
    if channel == NULL:
        return 1
    channel.event_queued = False
    channel.event(channel)
    if not flags & TCL_DONT_WAIT:
        notifier_after_event()
    return 1


cdef void notifier_taken() noexcept nogil:
    """One of our events leaves the queue."""
    cdef TclThread *thread = <TclThread *>TlsGetValue(notifier.tls)
    if thread != NULL:
        thread.events -= 1


cdef void notifier_after_event() noexcept nogil:
    """Called after each of our events. After the last one an eager thread waits here for the next message."""
    cdef TclThread *thread = <TclThread *>TlsGetValue(notifier.tls)
    if thread == NULL or not thread.eager or not thread.consumer.hot or thread.events:
        return
    if notifier_may_poll(thread) and notifier_poll(thread):
        notifier_drain(thread)


cdef int notifier_discard(Tcl_Event *event, void *source) noexcept nogil:
    """For Tcl_DeleteEvents: discard the events of `source`, or all of ours if it is NULL."""
    if event.proc != notifier_event or (source != NULL and (<SourceEvent *>event).source != source):
        return 0
    notifier_taken()
    source_drop((<SourceEvent *>event).source)
    return 1
