/* faults.h - fault injection: every call of the engine that can fail goes through a table of plans.
 *
 * Force-included before the compiled module: the macros at the end send each call to its wrapper in faults.c,
 * so the product's sources do not know. A plan says what happens to the calls of one name, from one call on,
 * so many times:
 *
 *   fail CODE    the call does nothing and fails with CODE (shutdown, closesocket, CancelIoEx and
 *                UnregisterWaitEx do their work all the same: nobody could end what they would leave; the
 *                CODE of NtCreateFile and NtDeviceIoControlFile is an NTSTATUS)
 *   status CODE  an overlapped call is accepted, does nothing, and its packet brings the NTSTATUS CODE
 *   late MS      an overlapped call ends by a packet, never at once, and that is seen MS milliseconds late; CancelIoEx cancels,
 *                but says that there is nothing to cancel, and the packet is late. Calls with an event: nothing. A
 *                WaitForMultipleObjects with a time-out has MS more of it, as by a clock of that grain. A lookup takes
 *                MS milliseconds longer
 *   short BYTES  a receive, a send, or a read or write of a pipe transfers at most so many bytes
 *   inline       ConnectEx and AcceptEx succeed in the call
 *   value N      the call returns N (the number of processors, the type of the product; WSAIoctl: the ideal send backlog, or
 *                with 0 that the system does not know of it)
 *   hold         the calling thread stops before the call, until fault_release
 *
 * Receives and sends without an OVERLAPPED are calls of their own (receive_direct, send_direct).
 * Threads: plans are made on any thread and hold for all.
 */
#ifndef IOCPSOCK_TEST_FAULTS_H
#define IOCPSOCK_TEST_FAULTS_H

#include <winsock2.h>
#include <ws2tcpip.h>
#include <mswsock.h>
#include <iphlpapi.h>
#include <windows.h>
#include <winternl.h>

#define FAULT_CALLS(X) \
    X(WSAStartup) X(WSASocketW) X(bind) X(listen) X(shutdown) X(closesocket) X(ioctlsocket) X(setsockopt) X(getsockopt) \
    X(getsockname) X(getpeername) X(getnameinfo) X(getservbyname) X(GetAddrInfoW) X(WSAIoctl) \
    X(AcceptEx) X(ConnectEx) X(TransmitFile) X(WSARecv) X(WSASend) X(receive_direct) X(send_direct) X(CancelIoEx) \
    X(CreateIoCompletionPort) X(SetFileCompletionNotificationModes) X(GetQueuedCompletionStatusEx) \
    X(GetQueuedCompletionStatus) X(PostQueuedCompletionStatus) X(NtCreateFile) X(ReadFile) X(WriteFile) \
    X(ConnectNamedPipe) X(RegisterWaitForSingleObject) X(UnregisterWaitEx) \
    X(CreateThread) X(CreateEventW) X(CreateWaitableTimerExW) X(SetWaitableTimer) X(WaitForSingleObject) X(WaitForMultipleObjects) \
    X(GetModuleHandleExW) X(GetActiveProcessorCount) X(RtlGetVersion) X(TlsAlloc) X(NtDeviceIoControlFile) \
    X(GetExtendedTcpTable) X(MultiByteToWideChar) X(malloc)

#define FAULT_ENUM(name) FAULT_##name,
enum fault_call { FAULT_CALLS(FAULT_ENUM) FAULT_COUNT };
#undef FAULT_ENUM

enum fault_action { FAULT_PASS, FAULT_FAIL, FAULT_STATUS, FAULT_LATE, FAULT_SHORT, FAULT_INLINE, FAULT_VALUE,
                   FAULT_HOLD, FAULT_ACTIONS };

/* faults.c: the plans, and the wrappers of plain calls. The others are in overlapped.c, ports.c, files.c and
 * dispatch.c */
int fault_plan(const char *call, const char *action, int code, int skip, int times, int per_mille);
void fault_clear(void);
int fault_counted(int call, int *fired);
const char *fault_name(int call);
enum fault_action fault_take(enum fault_call call, int *code);
int fault_fails(enum fault_call call);
/* ports.c: operations that end by a packet of ours */
void fault_post(HANDLE handle, OVERLAPPED *overlapped);
void fault_end(HANDLE handle, OVERLAPPED *overlapped, int status);
int ports_skip(HANDLE handle);
/* hold.c: a thread stopped before a call */
void fault_hold_here(void);
int fault_held(int milliseconds);
void fault_release(void);
/* dispatch.c: packets held back and dealt out in another order */
void fault_late(OVERLAPPED *overlapped, int milliseconds);
void fault_shuffle(int milliseconds, int seed);
int fault_overtaken(void);
int fault_shuffling(void);
/* sends.c: sends served one after the other */
void sends_serve(int serving);
int sends_serving(void);
int sends_most(void);
void sends_take(SOCKET s, const WSABUF *buffers, DWORD count, OVERLAPPED *overlapped, LONG status);
BOOL sends_cancel(const OVERLAPPED *overlapped);
/* receives.c: the receives, meanwhile */
void receives_take(SOCKET s, const WSABUF *buffer, OVERLAPPED *overlapped);
BOOL receives_cancel(const OVERLAPPED *overlapped);
/* beside.c: cancels of receives while a send is outstanding on the same socket */
void beside_post(SOCKET s, OVERLAPPED *overlapped);
void beside_end(const OVERLAPPED *overlapped);
void beside_cancel(SOCKET s, const OVERLAPPED *overlapped);
int beside_cancels(void);
int beside_sends(void);

int WSAAPI fault_WSAStartup(WORD version, WSADATA *data);
SOCKET WSAAPI fault_WSASocketW(int family, int type, int protocol, WSAPROTOCOL_INFOW *info, GROUP group,
                               DWORD flags);
int WSAAPI fault_bind(SOCKET s, const struct sockaddr *address, int length);
int WSAAPI fault_listen(SOCKET s, int backlog);
int WSAAPI fault_shutdown(SOCKET s, int how);
int WSAAPI fault_closesocket(SOCKET s);
int WSAAPI fault_ioctlsocket(SOCKET s, long command, u_long *argument);
int WSAAPI fault_setsockopt(SOCKET s, int level, int option, const char *value, int length);
int WSAAPI fault_getsockopt(SOCKET s, int level, int option, char *value, int *length);
int WSAAPI fault_getsockname(SOCKET s, struct sockaddr *address, int *length);
int WSAAPI fault_getpeername(SOCKET s, struct sockaddr *address, int *length);
int WSAAPI fault_getnameinfo(const struct sockaddr *address, socklen_t length, char *host, DWORD host_size,
                             char *service,
                             DWORD service_size, int flags);
struct servent *WSAAPI fault_getservbyname(const char *name, const char *protocol);
int WSAAPI fault_GetAddrInfoW(const WCHAR *node, const WCHAR *service, const ADDRINFOW *hints,
                              ADDRINFOW **result);
int WSAAPI fault_WSAIoctl(SOCKET s, DWORD code, void *in, DWORD in_size, void *out, DWORD out_size,
                          DWORD *returned,
                          OVERLAPPED *overlapped, LPWSAOVERLAPPED_COMPLETION_ROUTINE routine);
int WSAAPI fault_WSARecv(SOCKET s, WSABUF *buffers, DWORD count, DWORD *received, DWORD *flags,
                         OVERLAPPED *overlapped,
                         LPWSAOVERLAPPED_COMPLETION_ROUTINE routine);
int WSAAPI fault_WSASend(SOCKET s, WSABUF *buffers, DWORD count, DWORD *sent, DWORD flags,
                         OVERLAPPED *overlapped,
                         LPWSAOVERLAPPED_COMPLETION_ROUTINE routine);
BOOL WINAPI fault_CancelIoEx(HANDLE file, OVERLAPPED *overlapped);
HANDLE WINAPI fault_CreateIoCompletionPort(HANDLE file, HANDLE port, ULONG_PTR key, DWORD threads);
BOOL WINAPI fault_SetFileCompletionNotificationModes(HANDLE file, UCHAR flags);
BOOL WINAPI fault_GetQueuedCompletionStatusEx(HANDLE port, OVERLAPPED_ENTRY *entries, ULONG count,
                                              ULONG *removed,
                                              DWORD milliseconds, BOOL alertable);
BOOL WINAPI fault_GetQueuedCompletionStatus(HANDLE port, DWORD *bytes, ULONG_PTR *key,
                                            OVERLAPPED **overlapped, DWORD milliseconds);
BOOL WINAPI fault_PostQueuedCompletionStatus(HANDLE port, DWORD bytes, ULONG_PTR key, OVERLAPPED *overlapped);
HANDLE WINAPI fault_CreateThread(SECURITY_ATTRIBUTES *security, SIZE_T stack, LPTHREAD_START_ROUTINE start,
                                 void *parameter,
                                 DWORD flags, DWORD *identifier);
HANDLE WINAPI fault_CreateEventW(SECURITY_ATTRIBUTES *security, BOOL manual, BOOL initial, const WCHAR *name);
HANDLE WINAPI fault_CreateWaitableTimerExW(SECURITY_ATTRIBUTES *security, const WCHAR *name, DWORD flags,
                                           DWORD access);
BOOL WINAPI fault_SetWaitableTimer(HANDLE timer, const LARGE_INTEGER *due, LONG period,
                                   PTIMERAPCROUTINE routine, void *argument,
                                   BOOL resume);
DWORD WINAPI fault_WaitForSingleObject(HANDLE handle, DWORD milliseconds);
DWORD WINAPI fault_WaitForMultipleObjects(DWORD count, const HANDLE *handles, BOOL all, DWORD milliseconds);
BOOL WINAPI fault_GetModuleHandleExW(DWORD flags, const WCHAR *name, HMODULE *module);
DWORD WINAPI fault_GetActiveProcessorCount(WORD group);
LONG NTAPI fault_RtlGetVersion(OSVERSIONINFOW *info);
DWORD WINAPI fault_TlsAlloc(void);
NTSTATUS NTAPI fault_NtDeviceIoControlFile(HANDLE file, HANDLE event, PIO_APC_ROUTINE routine, void *context,
                                           IO_STATUS_BLOCK *ended,
                                           ULONG code, void *in, ULONG in_size, void *out, ULONG out_size);
NTSTATUS NTAPI fault_NtCreateFile(HANDLE *file, ACCESS_MASK access, OBJECT_ATTRIBUTES *attributes,
                                  IO_STATUS_BLOCK *opened, LARGE_INTEGER *size, ULONG kind, ULONG sharing,
                                  ULONG disposition, ULONG options, void *extra, ULONG extra_size);
BOOL WINAPI fault_ReadFile(HANDLE file, void *buffer, DWORD size, DWORD *count, OVERLAPPED *overlapped);
BOOL WINAPI fault_WriteFile(HANDLE file, const void *data, DWORD size, DWORD *count, OVERLAPPED *overlapped);
BOOL WINAPI fault_ConnectNamedPipe(HANDLE pipe, OVERLAPPED *overlapped);
BOOL WINAPI fault_RegisterWaitForSingleObject(HANDLE *wait, HANDLE object, WAITORTIMERCALLBACK callback,
                                              void *context, ULONG milliseconds, ULONG flags);
BOOL WINAPI fault_UnregisterWaitEx(HANDLE wait, HANDLE completion);
DWORD WINAPI fault_GetExtendedTcpTable(void *table, DWORD *size, BOOL sorted, ULONG family,
                                       TCP_TABLE_CLASS kind, ULONG reserved);
int WINAPI fault_MultiByteToWideChar(UINT page, DWORD flags, const char *text, int length, WCHAR *wide,
                                     int capacity);

#ifdef IOCPSOCK_STRICT
#include "strict/strict.h"
#endif
#ifndef FAULTS_THEMSELVES
#define WSAStartup fault_WSAStartup
#define WSASocketW fault_WSASocketW
#define bind(...) fault_bind(__VA_ARGS__)
#define listen(...) fault_listen(__VA_ARGS__)
#define shutdown(...) fault_shutdown(__VA_ARGS__)
#define closesocket fault_closesocket
#define ioctlsocket fault_ioctlsocket
#define setsockopt fault_setsockopt
#define getsockopt fault_getsockopt
#define getsockname fault_getsockname
#define getpeername fault_getpeername
#define getnameinfo fault_getnameinfo
#define getservbyname fault_getservbyname
#define GetAddrInfoW fault_GetAddrInfoW
#define WSAIoctl fault_WSAIoctl
#define WSARecv fault_WSARecv
#define WSASend fault_WSASend
#define CancelIoEx fault_CancelIoEx
#define CreateIoCompletionPort fault_CreateIoCompletionPort
#define SetFileCompletionNotificationModes fault_SetFileCompletionNotificationModes
#define GetQueuedCompletionStatusEx fault_GetQueuedCompletionStatusEx
#define GetQueuedCompletionStatus fault_GetQueuedCompletionStatus
#define PostQueuedCompletionStatus fault_PostQueuedCompletionStatus
#define NtCreateFile fault_NtCreateFile
#define ReadFile fault_ReadFile
#define WriteFile fault_WriteFile
#define ConnectNamedPipe fault_ConnectNamedPipe
#define RegisterWaitForSingleObject fault_RegisterWaitForSingleObject
#define UnregisterWaitEx fault_UnregisterWaitEx
#define CreateThread fault_CreateThread
#define CreateEventW fault_CreateEventW
#define CreateWaitableTimerExW fault_CreateWaitableTimerExW
#define SetWaitableTimer fault_SetWaitableTimer
#define WaitForSingleObject fault_WaitForSingleObject
#define WaitForMultipleObjects fault_WaitForMultipleObjects
#define GetModuleHandleExW fault_GetModuleHandleExW
#define GetActiveProcessorCount fault_GetActiveProcessorCount
#define RtlGetVersion fault_RtlGetVersion
#define TlsAlloc fault_TlsAlloc
#define NtDeviceIoControlFile fault_NtDeviceIoControlFile
#define GetExtendedTcpTable fault_GetExtendedTcpTable
#define MultiByteToWideChar fault_MultiByteToWideChar
#endif

#endif
