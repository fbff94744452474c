/* tcptable.h - whether any socket on this machine has a TCP port.
 *
 * Windows returns WSAEACCES both for a port that another socket has exclusively and for one from a range that
 * the system reserves, as Hyper-V does. The system's table of TCP sockets has the first and not the second.
 * Threads: any.
 */
#ifndef IOCPSOCK_TCPTABLE_H
#define IOCPSOCK_TCPTABLE_H

#include <winsock2.h>
#include <iphlpapi.h>
#include <stdlib.h>

/* A busy machine's table may grow between two calls, but not by half its size eight times. */
#define TCPTABLE_TRIES 8

/* The table of one address family, or NULL on failure. The caller releases it with free(). */
static inline void *tcptable_read(int family)
{
    DWORD size = 4096, error = ERROR_INSUFFICIENT_BUFFER;
    void *table = NULL;
    int tries;
    for (tries = 0; tries < TCPTABLE_TRIES && error == ERROR_INSUFFICIENT_BUFFER; tries++) {
        free(table);
        size += size / 2;
        table = malloc(size);
        if (table == NULL)
            return NULL;
        error = GetExtendedTcpTable(table, &size, FALSE, (ULONG)family, TCP_TABLE_BASIC_ALL, 0);
    }
    if (error != NO_ERROR) {
        free(table);
        return NULL;
    }
    return table;
}

/* The ports in the table are in network order, in the low half of a DWORD. */
static inline int tcptable_has(int family, unsigned short port)
{
    void *rows = tcptable_read(family);
    MIB_TCPTABLE *four = family == AF_INET ? rows : NULL;
    MIB_TCP6TABLE *six = family == AF_INET6 ? rows : NULL;
    DWORD index;
    int found = 0;
    for (index = 0; four != NULL && !found && index < four->dwNumEntries; index++)
        found = ntohs((unsigned short)four->table[index].dwLocalPort) == port;
    for (index = 0; six != NULL && !found && index < six->dwNumEntries; index++)
        found = ntohs((unsigned short)six->table[index].dwLocalPort) == port;
    free(rows);
    return found;
}

#endif
