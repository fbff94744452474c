/* edition.h - whether this is Windows Server: other editions serve only two file transmissions (TransmitFile)
 * at a time, for the whole machine.
 *
 * RtlGetVersion reports the actual system; GetVersionEx reports what the program's manifest declares support
 * for.
 * Threads: any.
 */
#ifndef IOCPSOCK_EDITION_H
#define IOCPSOCK_EDITION_H

#include <windows.h>

#ifndef RtlGetVersion           /* a test build calls another function */
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
