/* engine_tables.h - the engine's data: the error gate's table, the names of the counters, and constants that
 * are macros of Microsoft's headers which mingw-w64 or Cython cannot express. No code, no state.
 */
#ifndef IOCPSOCK_ENGINE_TABLES_H
#define IOCPSOCK_ENGINE_TABLES_H

#include <winsock2.h>
#include <ws2tcpip.h>
#include <mswsock.h>
#include <windows.h>
#include <winternl.h>
#undef WIN32_NO_STATUS         /* set by setup.py, so that windows.h leaves these codes to ntstatus.h */
#include <ntstatus.h>

/* An NTSTATUS or a Win32 code from a completion -> the Winsock code that a blocking call would have reported.
 * Sources: what Winsock itself returns on real Windows (Wine's ws2_32 conformance tests), and libuv's
 * experience with AFD. A status that is not listed goes through RtlNtStatusToDosError; the result is kept as
 * it is if it is a Winsock code (10000..11999). */
static const struct error_row {
    DWORD code;
    int winsock;
} error_table[] = {
    {(DWORD)STATUS_CANCELLED, WSA_OPERATION_ABORTED},
    {(DWORD)STATUS_CONNECTION_RESET, WSAECONNRESET},
    {(DWORD)STATUS_CONNECTION_ABORTED, WSAECONNABORTED},
    {(DWORD)STATUS_CONNECTION_DISCONNECTED, WSAECONNRESET},
    {(DWORD)STATUS_LINK_FAILED, WSAECONNRESET},         /* as AFD's table in libuv and ReactOS has it */
    {(DWORD)STATUS_REMOTE_DISCONNECT, WSAECONNRESET},
    {(DWORD)STATUS_LOCAL_DISCONNECT, WSAECONNABORTED},
    {(DWORD)STATUS_CONNECTION_REFUSED, WSAECONNREFUSED},
    {(DWORD)STATUS_REMOTE_NOT_LISTENING, WSAECONNREFUSED},
    {(DWORD)STATUS_GRACEFUL_DISCONNECT, WSAESHUTDOWN},
    {(DWORD)STATUS_PIPE_DISCONNECTED, WSAESHUTDOWN},
    {(DWORD)STATUS_CONNECTION_INVALID, WSAENOTCONN},
    {(DWORD)STATUS_INVALID_CONNECTION, WSAENOTCONN},
    {(DWORD)STATUS_CONNECTION_ACTIVE, WSAEISCONN},
    /* 258, the only failure whose status is not negative. */
    {(DWORD)STATUS_TIMEOUT, WSAETIMEDOUT},
    {(DWORD)STATUS_IO_TIMEOUT, WSAETIMEDOUT},
    {(DWORD)STATUS_LINK_TIMEOUT, WSAETIMEDOUT},
    {(DWORD)STATUS_NETWORK_UNREACHABLE, WSAENETUNREACH},
    {(DWORD)STATUS_HOST_UNREACHABLE, WSAEHOSTUNREACH},
    {(DWORD)STATUS_PROTOCOL_UNREACHABLE, WSAENETUNREACH},
    {(DWORD)STATUS_PORT_UNREACHABLE, WSAECONNRESET},
    {(DWORD)STATUS_ADDRESS_ALREADY_EXISTS, WSAEADDRINUSE},
    {(DWORD)STATUS_ADDRESS_ALREADY_ASSOCIATED, WSAEADDRINUSE},
    {(DWORD)STATUS_SHARING_VIOLATION, WSAEADDRINUSE},
    {(DWORD)STATUS_INVALID_ADDRESS, WSAEADDRNOTAVAIL},
    {(DWORD)STATUS_INVALID_ADDRESS_COMPONENT, WSAEADDRNOTAVAIL},
    {(DWORD)STATUS_INSUFFICIENT_RESOURCES, WSAENOBUFS},
    {(DWORD)STATUS_PAGEFILE_QUOTA, WSAENOBUFS},
    {(DWORD)STATUS_COMMITMENT_LIMIT, WSAENOBUFS},
    {(DWORD)STATUS_WORKING_SET_QUOTA, WSAENOBUFS},
    {(DWORD)STATUS_NO_MEMORY, WSAENOBUFS},
    {(DWORD)STATUS_QUOTA_EXCEEDED, WSAENOBUFS},
    {(DWORD)STATUS_TOO_MANY_OPENED_FILES, WSAEMFILE},
    {(DWORD)STATUS_TOO_MANY_ADDRESSES, WSAENOBUFS},
    {(DWORD)STATUS_INVALID_HANDLE, WSAENOTSOCK},
    {(DWORD)STATUS_OBJECT_TYPE_MISMATCH, WSAENOTSOCK},
    /* Wine, where Windows returns 1236 after the process's own closesocket. */
    {(DWORD)STATUS_HANDLES_CLOSED, WSAECONNABORTED},
    {(DWORD)STATUS_ACCESS_VIOLATION, WSAEFAULT},
    {(DWORD)STATUS_ACCESS_DENIED, WSAEACCES},
    {(DWORD)STATUS_INVALID_PARAMETER, WSAEINVAL},
    {(DWORD)STATUS_NOT_SUPPORTED, WSAEOPNOTSUPP},
    {ERROR_NETNAME_DELETED, WSAECONNRESET},             /* 64: a reset, as a completion port reports it */
    {ERROR_OPERATION_ABORTED, WSA_OPERATION_ABORTED},   /* 995 */
    {ERROR_CONNECTION_REFUSED, WSAECONNREFUSED},        /* 1225 */
    {ERROR_CONNECTION_ABORTED, WSAECONNABORTED},        /* 1236 */
    {ERROR_NETWORK_UNREACHABLE, WSAENETUNREACH},        /* 1231 */
    {ERROR_HOST_UNREACHABLE, WSAEHOSTUNREACH},          /* 1232 */
    {ERROR_PORT_UNREACHABLE, WSAECONNRESET},            /* 1234 */
    {ERROR_SEM_TIMEOUT, WSAETIMEDOUT},                  /* 121: a connection attempt timed out */
    {ERROR_NO_SYSTEM_RESOURCES, WSAENOBUFS},            /* 1450 */
    {ERROR_NOT_ENOUGH_MEMORY, WSAENOBUFS},              /* 8 */
    {ERROR_INVALID_HANDLE, WSAENOTSOCK},                /* 6 */
    {ERROR_TOO_MANY_OPEN_FILES, WSAEMFILE},             /* 4 */
};

enum { ERROR_ROWS = sizeof error_table / sizeof *error_table };

/* What the engine counts. The first four are objects: they have a live figure, which every test must bring
 * back to zero, and a total. Each other row is one figure: first three current ones (threads, consumers,
 * bytes of memory), then events and amounts since the start. `allocations` counts calls of malloc, `retries`
 * what was retried for lack of memory, `direct_receives` receives without the port, `waits` a hot consumer's
 * own waits, `waits_in_vain` those of them after which no source was ready. */
#define COUNTERS(X) \
    X(connections) X(listeners) X(operations) X(lookups) X(ports) X(polls) X(pipes) X(processes) \
    X(threads) X(consumers) X(memory) \
    X(connects) X(connect_failures) X(accepts) X(accept_failures) X(bytes_received) X(bytes_sent) \
    X(allocations) X(retries) X(direct_receives) X(waits) X(waits_in_vain)

#define COUNTER_ENUM(name) COUNTER_##name,
enum { COUNTERS(COUNTER_ENUM) COUNTER_COUNT };
#undef COUNTER_ENUM

enum { COUNTER_OBJECTS = COUNTER_threads };

#define COUNTER_NAME(name) #name,
static const char *const counter_names[] = {COUNTERS(COUNTER_NAME)};
#undef COUNTER_NAME

/* The settings: first those of a connection (or of a listener, for the connections that it will accept), from
 * SETTING_LISTENER on those of a listener only, from SETTING_PROCESS on those of the whole process. X(name,
 * smallest, largest, initial, legal values in words). The words appear in error messages and in the reference
 * pages. Sources of the defaults: sendlimit, the limit of Windows' own dynamic send buffering;
 * acceptdatatimeout, iocpsock 0.5; manyconnections, 2 MB of locked receive buffers. */
#define SETTINGS(X) \
    X(recvbufsize, 0, 65536, 0, "0 (fitted to the traffic) or a number of bytes up to 65536") \
    X(recvcount, 1, 16, 1, "an integer from 1 to 16") \
    X(recvmode, 0, 2, 0, "buffered, zero, or auto") \
    X(recvlimit, 4096, 16777216, 131072, "a number of bytes from 4096 to 16777216") \
    X(sendlimit, 4096, 16777216, 262144, "a number of bytes from 4096 to 16777216") \
    X(linger, -1, 65535, -1, "-1 (off) or a number of seconds up to 65535") \
    X(acceptbufsize, 0, 61440, 0, "a number of bytes from 0 to 61440") \
    X(acceptcount, 0, 256, 0, "0 (fitted to the traffic) or an integer up to 256") \
    X(acceptdatatimeout, 1, 86400, 120, "a number of seconds from 1 to 86400") \
    X(maxconnections, 0, 1000000, 0, "0 (no limit) or an integer up to 1000000") \
    X(threads, 0, 64, 0, "0 (one for each processor) or an integer up to 64") \
    X(manyconnections, 0, 1000000, 500, "an integer from 0 to 1000000") \
    X(closetimeout, 0, 86400, 120, "0 (no limit) or a number of seconds up to 86400") \
    X(lookup, 0, 1, 0, "foreground or background")

#define SETTING_ENUM(name, smallest, largest, initial, legal) SETTING_##name,
enum { SETTINGS(SETTING_ENUM) SETTING_COUNT, SETTING_LISTENER = SETTING_acceptbufsize,
      SETTING_PROCESS = SETTING_threads };
#undef SETTING_ENUM

#define SETTING_ROW(name, smallest, largest, initial, legal) {"-" #name, smallest, largest, initial, legal},
static const struct setting_row {
    const char *option;
    int smallest, largest, initial;
    const char *legal;
} setting_table[] = {SETTINGS(SETTING_ROW)};
#undef SETTING_ROW

/* The values of recvmode: a posted buffer; a zero-byte receive and then a direct read; as zero when there are
 * many connections. */
enum { RECV_BUFFERED, RECV_ZERO, RECV_AUTO, RECV_MODES };
static const char *const recv_mode_names[] = {"buffered", "zero", "auto"};

/* The values of lookup: an -async client's name is resolved before the command returns, or afterwards on a
 * resolver thread. */
enum { LOOKUP_FOREGROUND, LOOKUP_BACKGROUND, LOOKUPS };
static const char *const lookup_names[] = {"foreground", "background"};

/* Bytes of recycled operations kept in each free list; further blocks go back to the heap. */
#ifndef OP_KEEP_BYTES           /* test builds return every block to the heap */
#define OP_KEEP_BYTES (4 << 20)
#endif

/* Pages cut from one heap block. */
#ifndef PAGE_SLAB
#define PAGE_SLAB 32
#endif

/* Waiters kept, each with an event: about as many as the threads that commonly wait at the same time. */
#ifndef WAITER_KEEP
#define WAITER_KEEP 64
#endif

/* The GUIDs of the extension functions for SIO_GET_EXTENSION_FUNCTION_POINTER (mswsock.h has them as
 * initialisers). */
static const GUID acceptex_id = WSAID_ACCEPTEX;
static const GUID connectex_id = WSAID_CONNECTEX;
static const GUID transmitfile_id = WSAID_TRANSMITFILE;
static const GUID getacceptexsockaddrs_id = WSAID_GETACCEPTEXSOCKADDRS;

/* SO_REUSE_UNICASTPORT (ws2def.h of the Windows SDK, Windows 10): if a bind leaves the port to the system,
 * the system chooses it as for a connect without a bind. */
#define IOCPSOCK_SO_REUSE_UNICASTPORT 0x3007

/* SIO_TCP_INITIAL_RTO with TCP_INITIAL_RTO_PARAMETERS (mstcpip.h, Windows 10 1709; Microsoft's page
 * "TCP_INITIAL_RTO_PARAMETERS structure"). Windows itself repeats a refused attempt three times, which on
 * loopback takes two seconds. There, one quick repetition is enough. It is needed, because Windows also
 * refuses while a backlog is full, and may have room a moment later. */
#define IOCPSOCK_SIO_TCP_INITIAL_RTO _WSAIOW(IOC_VENDOR, 17)
static const struct initial_rto {
    /* Milliseconds; 300 is the least that Set-NetTCPSetting takes for InitialRto. */
    USHORT rtt;
    UCHAR max_retransmissions;
} initial_rto_once = {300, 1};

/* SOMAXCONN_HINT (winsock2.h; Microsoft's page "listen function"): a backlog above 200 must be passed in this
 * form; the system then adjusts it to between 200 and 65535. */
#define IOCPSOCK_SOMAXCONN_HINT(backlog) (-(backlog))

/* CREATE_WAITABLE_TIMER_HIGH_RESOLUTION (synchapi.h, Windows 10 1803; Microsoft's page
 * "CreateWaitableTimerExW function"): the timer does not depend on the ticks of the system's clock, which are
 * 15.6 ms apart. */
#define IOCPSOCK_TIMER_HIGH_RESOLUTION 0x00000002

/* SIO_IDEAL_SEND_BACKLOG_QUERY (ws2ipdef.h, Windows Vista SP1), which mingw-w64 lacks. */
#define IOCPSOCK_SIO_IDEAL_SEND_BACKLOG_QUERY _IOR('t', 123, ULONG)

/* SIO_TCP_INFO and TCP_INFO_v0 (mstcpip.h, Windows 10 1703): TCP's statistics of a connection. Older SDKs
 * lack both. */
#define IOCPSOCK_SIO_TCP_INFO _WSAIORW(IOC_VENDOR, 39)
typedef struct tcp_info_v0 {
    DWORD state, mss;
    ULONGLONG connection_time_ms;
    BOOLEAN timestamps_enabled;
    DWORD rtt_us, min_rtt_us, bytes_in_flight, cwnd, send_window, receive_window, receive_buffer;
    ULONGLONG bytes_out, bytes_in;
    DWORD bytes_reordered, bytes_retransmitted, fast_retransmissions, duplicate_acks, timeout_episodes;
    UCHAR syn_retransmissions;
} tcp_info_v0;

#endif
