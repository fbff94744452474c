# What the engine uses of Windows, of Winsock and of its own data tables. Imports of declarations only.
from iocpsock.windows.kernel32 cimport *
from iocpsock.windows.winsock2 cimport *
from libc.stdlib cimport malloc, free
from libc.string cimport memcmp, memcpy, memset, strcspn, strncmp

cdef extern from "engine_tables.h" nogil:
    ctypedef struct error_row:
        DWORD code
        int winsock
    const error_row *error_table
    enum:
        ERROR_ROWS
        COUNTER_connections
        COUNTER_listeners
        COUNTER_operations
        COUNTER_lookups, COUNTER_ports, COUNTER_polls, COUNTER_pipes, COUNTER_processes
        COUNTER_threads
        COUNTER_consumers
        COUNTER_memory
        COUNTER_connects
        COUNTER_connect_failures
        COUNTER_accepts
        COUNTER_accept_failures
        COUNTER_bytes_received
        COUNTER_bytes_sent
        COUNTER_allocations
        COUNTER_retries
        COUNTER_direct_receives
        COUNTER_waits
        COUNTER_waits_in_vain
        COUNTER_COUNT
        COUNTER_OBJECTS
    const char *const *counter_names
    ctypedef struct initial_rto:
        pass
    ctypedef struct setting_row:
        const char *option
        int smallest
        int largest
        int initial
        const char *legal
    const setting_row *setting_table
    const char *const *recv_mode_names
    const char *const *lookup_names
    enum:
        SETTING_recvbufsize
        SETTING_recvcount
        SETTING_recvmode
        SETTING_recvlimit
        SETTING_sendlimit
        SETTING_linger
        SETTING_acceptbufsize
        SETTING_acceptcount
        SETTING_acceptdatatimeout
        SETTING_maxconnections
        SETTING_threads
        SETTING_manyconnections
        SETTING_closetimeout
        SETTING_lookup
        SETTING_COUNT
        SETTING_LISTENER
        SETTING_PROCESS
        RECV_BUFFERED
        RECV_ZERO
        RECV_AUTO
        RECV_MODES
        LOOKUP_BACKGROUND
        LOOKUPS
    enum:
        OP_KEEP_BYTES
        PAGE_SLAB
        WAITER_KEEP
    const GUID acceptex_id
    const GUID connectex_id
    const GUID getacceptexsockaddrs_id
    const GUID transmitfile_id
    const initial_rto initial_rto_once
    ctypedef struct tcp_info_v0:
        DWORD bytes_in_flight
        ULONGLONG bytes_out
    int IOCPSOCK_SO_REUSE_UNICASTPORT
    DWORD IOCPSOCK_SIO_TCP_INITIAL_RTO
    DWORD IOCPSOCK_TIMER_HIGH_RESOLUTION
    int IOCPSOCK_SOMAXCONN_HINT(int backlog)
    DWORD IOCPSOCK_SIO_TCP_INFO
    DWORD IOCPSOCK_SIO_IDEAL_SEND_BACKLOG_QUERY

cdef extern from "tcptable.h" nogil:
    bint tcptable_has(int family, unsigned short port)

cdef extern from "afd.h" nogil:
    struct afd_poll:
        pass
    int afd_poll_room(SOCKET socket, afd_poll *poll, HANDLE event, OVERLAPPED *overlapped)
    int afd_poll_packet(SOCKET socket, afd_poll *poll, int to_write, OVERLAPPED *overlapped)
    int afd_poll_over(const afd_poll *poll)
    int afd_open(HANDLE *device)
    int afd_poll_any(HANDLE device, SOCKET socket, afd_poll *poll, int to_read, int to_write,
                     OVERLAPPED *overlapped)
    int afd_poll_readable(const afd_poll *poll)
    int afd_poll_writable(const afd_poll *poll)
    int afd_poll_closed(const afd_poll *poll)
