# Notifier: the event source that brings the engine's news into a Tcl thread's event loop.
#
# Each Tcl thread that has sockets owns one consumer. A completion thread that has news puts the source on the
# consumer's queue and alerts the thread, once for a batch. The thread's check procedure turns each ready
# source into one Tcl event, so `vwait` and `update` see them one by one, as with the stock sockets; the event
# asks the source what is true then.
#
# A thread whose sleeps are short, because the next message comes at once, becomes hot: it receives itself
# (engine/direct.pyx) and, before Tcl sleeps, waits a moment for the next message. If that goes well it
# becomes eager: it waits already at the end of its event, so that Tcl need not ask all its event sources in
# between. A wait that brings nothing ends the one or the other, and each time it takes longer to come back.
# Tcl's timers, idle tasks and other sources have their turn at least every NOTIFIER_TURN milliseconds.
#
#     asleep  --`needed` short sleeps in a row-->  hot  --`needed` good waits in a row-->  eager
#             <--a wait that brings nothing------       <--a wait that brings nothing-----
#     `needed` begins at NOTIFIER_STREAK; each wait that brings nothing doubles it; a full streak while eager
#     sets it back.
#
# An event takes its source off the queue, and Tcl asks anew for what it wants to hear of when the handlers
# have run. A handler may run the event loop itself before that, and what it was told of may still hold. So a
# channel whose handlers run is in the list `told`, which setup and check look at: one for which something
# still holds gets another event.
# Owner: the thread, until its exit handler. A queued Tcl event holds a reference to its source.
# Threads: all on the Tcl thread, except notifier_wake.

cdef enum:
    NOTIFIER_LINGER = 1             # milliseconds to wait for the next message (polling_wait: or two)
    NOTIFIER_SHORT = 16             # milliseconds of a short sleep: a tick of Windows' clock, by which Tcl's
                                    # own waits end
    NOTIFIER_STREAK = 8             # short sleeps in a row to become hot, good waits in a row to become eager
                                    # ...
    NOTIFIER_STREAK_MOST = 8192     # ... at first; twice as many after each wait in vain, up to this
    NOTIFIER_TURN = 5               # milliseconds of waits of our own before Tcl asks its other event sources

cdef struct TclThread:
    Consumer *consumer
    Tcl_ThreadId identifier
    int events                      # Tcl events of ours in the queue
    Queue told                      # channels that were told of something, and have not been asked since
    Queue refused                   # channels whose last write was refused: Tcl holds what they are to send
    bint eager
    int streak                      # short sleeps in a row; when hot, good waits in a row
    int needed                      # how long a streak has to be
    LONGLONG asleep                 # performance counter when Tcl went to sleep; 0 once it was woken
    LONGLONG short_sleep            # ticks of the performance counter in NOTIFIER_SHORT
    LONGLONG turn                   # performance counter when Tcl's other event sources had their turn;
                                    # GetTickCount64 has a
    LONGLONG turn_length            # grain of 16 milliseconds, three times a turn. Its ticks in NOTIFIER_TURN

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
    """The calling thread's record, made and registered with Tcl at first use. Tcl_Alloc does not return
    without memory; NULL when the engine has none."""
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
    """The thread ends. Its channels are closed by Tcl after this, and need no record for that."""
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
    """Before Tcl waits: it must not, if there is news, or while the thread receives itself."""
    cdef TclThread *thread = <TclThread *>data
    if not flags & TCL_FILE_EVENTS:
        return
    notifier_ask_told(thread)
    if thread.consumer.hot and not flags & TCL_DONT_WAIT and thread.events == 0:
        if notifier_may_poll(thread):
            notifier_poll(thread)
        else:
            # This time Tcl asks everybody, and nobody waits.
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
    """Wait a moment for news, and learn from it whether that is worth while: whether there are any."""
    if polling_wait(thread.consumer, NOTIFIER_LINGER):
        thread.streak += 1
        if thread.streak >= thread.needed:
            thread.streak = 0
            if thread.eager:
                thread.needed = NOTIFIER_STREAK             # all is forgiven
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
    """Tcl's sleep is over: was it news that ended it, and did they come soon, or were there before?"""
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
    """After Tcl waited."""
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
    """The channel has been asked what holds, or is the thread's no more."""
    if channel.told.queue != NULL:
        queue_remove(&channel.told)


cdef void notifier_ask_told(TclThread *thread) noexcept nogil:
    """The event loop runs: put on the ready queue those told channels for which something holds. What comes
    about for the others is news."""
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
        # Closed, or the queued event will see this news too.
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
    """Tcl services the event: 1 when done, 0 to be asked again."""
    cdef Source *source = (<SourceEvent *>event).source
    cdef Channel *channel = <Channel *>source.context
    if not flags & TCL_FILE_EVENTS:
        return 0
    notifier_taken()
    # Before the handlers, as one of them may end the thread. The channel, while it is open, holds a reference
    # of its own.
    source_drop(source)
    if channel == NULL:
        return 1
    channel.event_queued = False
    channel.event(channel)
    if not flags & TCL_DONT_WAIT:
        notifier_after_event()
    return 1


cdef void notifier_taken() noexcept nogil:
    """An event of ours leaves the queue."""
    cdef TclThread *thread = <TclThread *>TlsGetValue(notifier.tls)
    if thread != NULL:
        thread.events -= 1


cdef void notifier_after_event() noexcept nogil:
    """The last of our events is served: an eager thread waits for the next message here."""
    cdef TclThread *thread = <TclThread *>TlsGetValue(notifier.tls)
    if thread == NULL or not thread.eager or not thread.consumer.hot or thread.events:
        return
    if notifier_may_poll(thread) and notifier_poll(thread):
        notifier_drain(thread)


cdef int notifier_discard(Tcl_Event *event, void *source) noexcept nogil:
    """For Tcl_DeleteEvents: forget the events of `source`, or all of ours if NULL."""
    if event.proc != notifier_event or (source != NULL and (<SourceEvent *>event).source != source):
        return 0
    notifier_taken()
    source_drop((<SourceEvent *>event).source)
    return 1
