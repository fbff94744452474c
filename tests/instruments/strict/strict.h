/* strict.h - the calls of Windows as the strict build makes them: by Microsoft's documents, where Wine is
 * milder.
 *
 * A layer below fault injection: faults.c calls these in the place of Windows, so a fault strikes what the
 * engine sees, and the rules hold for what is left. A few calls that cannot be made to fail have no plan, and
 * come here directly. The rules are those of docs/windows.md, with their numbers: a call that breaks one ends
 * the process (report.c), and what only Windows does is played (plays.c), each play under its name.
 *
 * Included by faults.h. Threads: any.
 */
#ifndef IOCPSOCK_TEST_STRICT_H
#define IOCPSOCK_TEST_STRICT_H

#include <winsock2.h>
#include <ws2tcpip.h>
#include <mswsock.h>
#include <windows.h>
#include <winternl.h>

/* plays.c, for tests */
int strict_play(const char *name, int value);       /* the value before, or -1: no play has this name */
/* Of the play with this number; *name is NULL behind the last. */
int strict_value(int play, const char **name);
/* How often something was played, or how much there is of it. */
int strict_count(const char *name);
/* the others, each in the file of its name */
int strict_breach(const char *name);                /* break a rule on purpose; -1: no such breach */
int strict_scene(const char *name, char *said, int size);   /* look at a play; -1: no such scene */
int strict_pending(SOCKET s);                       /* shadow.c: receives that are pending on this socket */
void strict_freeze(void);                           /* every other thread stops at its next call */
void strict_freed(const void *block, size_t size);  /* shadow.c: the engine gives back a block of memory */

int WSAAPI strict_WSAStartup(WORD version, WSADATA *data);
SOCKET WSAAPI strict_WSASocketW(int family, int type, int protocol, WSAPROTOCOL_INFOW *info, GROUP group,
                                DWORD flags);
int WSAAPI strict_bind(SOCKET s, const struct sockaddr *address, int length);
int WSAAPI strict_listen(SOCKET s, int backlog);
int WSAAPI strict_shutdown(SOCKET s, int how);
int WSAAPI strict_closesocket(SOCKET s);
int WSAAPI strict_ioctlsocket(SOCKET s, long command, u_long *argument);
int WSAAPI strict_setsockopt(SOCKET s, int level, int option, const char *value, int length);
int WSAAPI strict_getsockopt(SOCKET s, int level, int option, char *value, int *length);
int WSAAPI strict_getsockname(SOCKET s, struct sockaddr *address, int *length);
int WSAAPI strict_getpeername(SOCKET s, struct sockaddr *address, int *length);
int WSAAPI strict_WSAIoctl(SOCKET s, DWORD code, void *in, DWORD in_size, void *out, DWORD out_size,
                           DWORD *returned,
                           OVERLAPPED *overlapped, LPWSAOVERLAPPED_COMPLETION_ROUTINE routine);
int WSAAPI strict_WSARecv(SOCKET s, WSABUF *buffers, DWORD count, DWORD *received, DWORD *flags,
                          OVERLAPPED *overlapped,
                          LPWSAOVERLAPPED_COMPLETION_ROUTINE routine);
int WSAAPI strict_WSASend(SOCKET s, WSABUF *buffers, DWORD count, DWORD *sent, DWORD flags,
                          OVERLAPPED *overlapped,
                          LPWSAOVERLAPPED_COMPLETION_ROUTINE routine);
BOOL WINAPI strict_CancelIoEx(HANDLE file, OVERLAPPED *overlapped);
HANDLE WINAPI strict_CreateIoCompletionPort(HANDLE file, HANDLE port, ULONG_PTR key, DWORD threads);
BOOL WINAPI strict_SetFileCompletionNotificationModes(HANDLE file, UCHAR flags);
BOOL WINAPI strict_GetQueuedCompletionStatusEx(HANDLE port, OVERLAPPED_ENTRY *entries, ULONG count,
                                               ULONG *removed,
                                               DWORD milliseconds, BOOL alertable);
BOOL WINAPI strict_GetQueuedCompletionStatus(HANDLE port, DWORD *bytes, ULONG_PTR *key,
                                             OVERLAPPED **overlapped, DWORD milliseconds);
BOOL WINAPI strict_PostQueuedCompletionStatus(HANDLE port, DWORD bytes, ULONG_PTR key,
                                              OVERLAPPED *overlapped);
NTSTATUS NTAPI strict_NtCreateFile(HANDLE *handle, ACCESS_MASK access, OBJECT_ATTRIBUTES *attributes,
                                   IO_STATUS_BLOCK *opened, LARGE_INTEGER *size, ULONG kind, ULONG sharing,
                                   ULONG disposition, ULONG options, void *extra, ULONG extra_size);
BOOL WINAPI strict_ReadFile(HANDLE file, void *buffer, DWORD size, DWORD *count, OVERLAPPED *overlapped);
BOOL WINAPI strict_WriteFile(HANDLE file, const void *data, DWORD size, DWORD *count, OVERLAPPED *overlapped);
BOOL WINAPI strict_ConnectNamedPipe(HANDLE pipe, OVERLAPPED *overlapped);
BOOL WINAPI strict_RegisterWaitForSingleObject(HANDLE *handle, HANDLE object, WAITORTIMERCALLBACK callback,
                                               void *context, ULONG milliseconds, ULONG flags);
BOOL WINAPI strict_UnregisterWaitEx(HANDLE handle, HANDLE completion);
NTSTATUS NTAPI strict_NtDeviceIoControlFile(HANDLE file, HANDLE event, PIO_APC_ROUTINE routine, void *context,
                                            IO_STATUS_BLOCK *ended, ULONG code, void *in, ULONG in_size,
                                            void *out, ULONG out_size);
HANDLE WINAPI strict_CreateEventW(SECURITY_ATTRIBUTES *security, BOOL manual, BOOL initial,
                                  const WCHAR *name);
HANDLE WINAPI strict_CreateWaitableTimerExW(SECURITY_ATTRIBUTES *security, const WCHAR *name, DWORD flags,
                                            DWORD access);
HANDLE WINAPI strict_CreateThread(SECURITY_ATTRIBUTES *security, SIZE_T stack, LPTHREAD_START_ROUTINE start,
                                  void *parameter,
                                  DWORD flags, DWORD *identifier);
DWORD WINAPI strict_WaitForSingleObject(HANDLE handle, DWORD milliseconds);
DWORD WINAPI strict_WaitForMultipleObjects(DWORD count, const HANDLE *handles, BOOL all, DWORD milliseconds);
BOOL WINAPI strict_CloseHandle(HANDLE handle);
BOOL WINAPI strict_SetEvent(HANDLE event);
BOOL WINAPI strict_ResetEvent(HANDLE event);
BOOL WINAPI strict_SleepConditionVariableSRW(CONDITION_VARIABLE *condition, SRWLOCK *lock, DWORD milliseconds,
                                             ULONG flags);
ULONGLONG WINAPI strict_GetTickCount64(void);

#ifndef STRICT_ITSELF
#ifdef FAULTS_THEMSELVES
#define WSAStartup strict_WSAStartup
#define WSASocketW strict_WSASocketW
#define bind(...) strict_bind(__VA_ARGS__)
#define listen(...) strict_listen(__VA_ARGS__)
#define shutdown(...) strict_shutdown(__VA_ARGS__)
#define closesocket strict_closesocket
#define ioctlsocket strict_ioctlsocket
#define setsockopt strict_setsockopt
#define getsockopt strict_getsockopt
#define getsockname strict_getsockname
#define getpeername strict_getpeername
#define WSAIoctl strict_WSAIoctl
#define WSARecv strict_WSARecv
#define WSASend strict_WSASend
#define CancelIoEx strict_CancelIoEx
#define CreateIoCompletionPort strict_CreateIoCompletionPort
#define SetFileCompletionNotificationModes strict_SetFileCompletionNotificationModes
#define GetQueuedCompletionStatusEx strict_GetQueuedCompletionStatusEx
#define GetQueuedCompletionStatus strict_GetQueuedCompletionStatus
#define PostQueuedCompletionStatus strict_PostQueuedCompletionStatus
#define NtCreateFile strict_NtCreateFile
#define NtDeviceIoControlFile strict_NtDeviceIoControlFile
#define ReadFile strict_ReadFile
#define WriteFile strict_WriteFile
#define ConnectNamedPipe strict_ConnectNamedPipe
#define RegisterWaitForSingleObject strict_RegisterWaitForSingleObject
#define UnregisterWaitEx strict_UnregisterWaitEx
#define CreateEventW strict_CreateEventW
#define CreateWaitableTimerExW strict_CreateWaitableTimerExW
#define CreateThread strict_CreateThread
#define WaitForSingleObject strict_WaitForSingleObject
#define WaitForMultipleObjects strict_WaitForMultipleObjects
#endif
#define CloseHandle strict_CloseHandle
#define SetEvent strict_SetEvent
#define ResetEvent strict_ResetEvent
#define SleepConditionVariableSRW strict_SleepConditionVariableSRW
#define GetTickCount64 strict_GetTickCount64
#endif

#endif
