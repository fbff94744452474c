# kernel32: completion ports, threads, locks, memory. Declarations only.

cdef extern from "winsock2.h" nogil:    # before windows.h, which would otherwise bring in Winsock 1
    pass

cdef extern from "windows.h" nogil:
    ctypedef unsigned long DWORD
    ctypedef unsigned long ULONG
    ctypedef unsigned long long ULONGLONG
    ctypedef int BOOL
    ctypedef unsigned short WCHAR
    ctypedef void *HANDLE
    ctypedef void *HMODULE
    ctypedef size_t ULONG_PTR
    ctypedef long LONG
    ctypedef long long LONGLONG

    ctypedef struct SRWLOCK:
        void *Ptr
    ctypedef struct CONDITION_VARIABLE:
        void *Ptr
    ctypedef struct INIT_ONCE:
        void *Ptr
    ctypedef struct OVERLAPPED:
        ULONG_PTR Internal
        ULONG_PTR InternalHigh
        DWORD Offset
        DWORD OffsetHigh
        HANDLE hEvent
    ctypedef union LARGE_INTEGER:
        LONGLONG QuadPart
    ctypedef struct OVERLAPPED_ENTRY:
        ULONG_PTR lpCompletionKey
        OVERLAPPED *lpOverlapped
        DWORD dwNumberOfBytesTransferred

    enum:
        INFINITE
        FALSE
        TRUE
        WAIT_OBJECT_0
        WAIT_TIMEOUT
        WAIT_FAILED
        ERROR_ACCESS_DENIED
        ERROR_BROKEN_PIPE
        ERROR_HANDLE_EOF
        ERROR_IO_PENDING
        ERROR_MORE_DATA
        ERROR_NETNAME_DELETED
        ERROR_NO_DATA
        ERROR_NOT_ENOUGH_MEMORY
        ERROR_NOT_FOUND
        ERROR_OPERATION_ABORTED
        ERROR_PIPE_CONNECTED
        ERROR_PIPE_NOT_CONNECTED
        STATUS_BUFFER_OVERFLOW
        STATUS_PENDING
        STATUS_TIMEOUT
        SYNCHRONIZE
        TIMER_MODIFY_STATE
        CP_UTF8
        FILE_SKIP_COMPLETION_PORT_ON_SUCCESS
        FILE_SKIP_SET_EVENT_ON_HANDLE
        GET_MODULE_HANDLE_EX_FLAG_PIN
        GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS
        STACK_SIZE_PARAM_IS_A_RESERVATION
        ALL_PROCESSOR_GROUPS
        MB_ERR_INVALID_CHARS
        FORMAT_MESSAGE_FROM_SYSTEM
        FORMAT_MESSAGE_IGNORE_INSERTS
        FORMAT_MESSAGE_MAX_WIDTH_MASK
        TLS_OUT_OF_INDEXES

    HANDLE INVALID_HANDLE_VALUE

    DWORD GetEnvironmentVariableA(const char *name, char *buffer, DWORD size)
    void AcquireSRWLockExclusive(SRWLOCK *lock)
    bint TryAcquireSRWLockExclusive(SRWLOCK *lock)
    void ReleaseSRWLockExclusive(SRWLOCK *lock)
    void WakeAllConditionVariable(CONDITION_VARIABLE *condition)
    void WakeConditionVariable(CONDITION_VARIABLE *condition)
    BOOL SleepConditionVariableSRW(CONDITION_VARIABLE *condition, SRWLOCK *lock, DWORD milliseconds,
                                   ULONG flags)

    LONG InterlockedIncrement(LONG *value)
    LONG InterlockedDecrement(LONG *value)
    LONG InterlockedExchange(LONG *value, LONG new)
    LONG InterlockedExchangeAdd(LONG *value, LONG change)
    LONG InterlockedCompareExchange(LONG *value, LONG new, LONG expected)
    LONGLONG InterlockedExchangeAdd64(LONGLONG *value, LONGLONG change)

    enum:
        WT_EXECUTEINWAITTHREAD
        WT_EXECUTEONLYONCE
    BOOL RegisterWaitForSingleObject(HANDLE *wait, HANDLE object, void *callback, void *context,
                                     ULONG milliseconds, ULONG flags)
    BOOL UnregisterWaitEx(HANDLE wait, HANDLE completion)
    BOOL GetQueuedCompletionStatus(HANDLE port, DWORD *bytes, ULONG_PTR *key, OVERLAPPED **overlapped,
                                   DWORD milliseconds)
    HANDLE CreateIoCompletionPort(HANDLE file, HANDLE port, ULONG_PTR key, DWORD threads)
    BOOL GetQueuedCompletionStatusEx(HANDLE port, OVERLAPPED_ENTRY *entries, ULONG count, ULONG *removed,
                                     DWORD milliseconds, BOOL alertable)
    BOOL PostQueuedCompletionStatus(HANDLE port, DWORD bytes, ULONG_PTR key, OVERLAPPED *overlapped)
    BOOL SetFileCompletionNotificationModes(HANDLE file, unsigned char flags)
    BOOL ReadFile(HANDLE file, void *buffer, DWORD size, DWORD *count, OVERLAPPED *overlapped)
    BOOL WriteFile(HANDLE file, const void *data, DWORD size, DWORD *count, OVERLAPPED *overlapped)
    BOOL ConnectNamedPipe(HANDLE pipe, OVERLAPPED *overlapped)
    BOOL GetNamedPipeInfo(HANDLE pipe, DWORD *flags, DWORD *sends, DWORD *receives, DWORD *instances)
    BOOL CancelIoEx(HANDLE file, OVERLAPPED *overlapped)
    HANDLE CreateThread(void *security, size_t stack, void *start, void *parameter, DWORD flags,
                        DWORD *identifier)
    DWORD GetActiveProcessorCount(unsigned short group)
    DWORD GetCurrentThreadId()
    HANDLE CreateEventW(void *security, BOOL manual, BOOL initial, const WCHAR *name)
    HANDLE CreateWaitableTimerExW(void *security, const WCHAR *name, DWORD flags, DWORD access)
    BOOL SetWaitableTimer(HANDLE timer, const LARGE_INTEGER *due, LONG period, void *routine, void *argument,
                          BOOL resume)
    BOOL SetEvent(HANDLE event)
    BOOL ResetEvent(HANDLE event)
    void MemoryBarrier()
    void Sleep(DWORD milliseconds)
    DWORD WaitForSingleObject(HANDLE handle, DWORD milliseconds)
    DWORD WaitForMultipleObjects(DWORD count, const HANDLE *handles, BOOL all, DWORD milliseconds)
    BOOL CloseHandle(HANDLE handle)
    BOOL GetModuleHandleExW(DWORD flags, const WCHAR *name, HMODULE *module)
    HMODULE LoadLibraryW(const WCHAR *name)
    DWORD GetLastError()
    DWORD TlsAlloc()
    void *TlsGetValue(DWORD index)
    BOOL TlsSetValue(DWORD index, void *value)
    DWORD FormatMessageW(DWORD flags, const void *source, DWORD code, DWORD language, WCHAR *text,
                         DWORD capacity, void *arguments)
    ULONGLONG GetTickCount64()
    BOOL QueryPerformanceCounter(LARGE_INTEGER *count)
    BOOL QueryPerformanceFrequency(LARGE_INTEGER *frequency)
    int MultiByteToWideChar(unsigned int codepage, DWORD flags, const char *text, int length, WCHAR *wide,
                            int capacity)
    int WideCharToMultiByte(unsigned int codepage, DWORD flags, const WCHAR *wide, int length, char *text,
                            int capacity, const char *missing, BOOL *used)

cdef extern from "winternl.h" nogil:
    ULONG RtlNtStatusToDosError(int status)
