/* edition.h - whether this is Windows Server: other editions serve two transmissions of files at a time, for
 * the whole machine.
 *
 * RtlGetVersion tells what the system is; GetVersionEx tells what the program's manifest wants to hear.
 * Threads: any.
 */
#ifndef IOCPSOCK_EDITION_H
#define IOCPSOCK_EDITION_H

#include <windows.h>

#ifndef RtlGetVersion           /* a build for tests asks another function */
NTSYSAPI LONG NTAPI RtlGetVersion(OSVERSIONINFOW *);
#endif

static inline int edition_is_server(void)
{
    OSVERSIONINFOEXW info;
    memset(&info, 0, sizeof info);
    info.dwOSVersionInfoSize = sizeof info;
    return RtlGetVersion((OSVERSIONINFOW *)&info) == 0 && info.wProductType != VER_NT_WORKSTATION;
}

#endif
