/* tcl_tables.h - the Tcl side's data: Winsock codes as POSIX errno values, the texts that differ between Tcl
 * versions, and the channel type. No code, no state.
 */
#ifndef IOCPSOCK_TCL_TABLES_H
#define IOCPSOCK_TCL_TABLES_H

#include <winsock2.h>
#include "tcl_stubs.h"

/* Winsock code -> the errno of Tcl's Windows build (values of the Universal C Runtime, and Tcl's own
 * additions from 240 on). Same as Tcl's own table; a code that is missing becomes EINVAL, as in Tcl. */
static const struct errno_row {
    int winsock;
    int number;
} errno_table[] = {
    {WSAEWOULDBLOCK, 140}, {WSAEINPROGRESS, 112}, {WSAEALREADY, 103}, {WSAENOTSOCK, 128},
    {WSAEDESTADDRREQ, 109}, {WSAEMSGSIZE, 115}, {WSAEPROTOTYPE, 136}, {WSAENOPROTOOPT, 123},
    {WSAEPROTONOSUPPORT, 135}, {WSAESOCKTNOSUPPORT, 240}, {WSAEOPNOTSUPP, 130}, {WSAEAFNOSUPPORT, 102},
    {WSAEADDRINUSE, 100}, {WSAEADDRNOTAVAIL, 101}, {WSAENETDOWN, 116}, {WSAENETUNREACH, 118},
    {WSAENETRESET, 117}, {WSAECONNABORTED, 106}, {WSAECONNRESET, 108}, {WSAENOBUFS, 119}, {WSAEISCONN, 113},
    {WSAENOTCONN, 126}, {WSAESHUTDOWN, 241}, {WSAETIMEDOUT, 138}, {WSAECONNREFUSED, 107}, {WSAELOOP, 114},
    {WSAENAMETOOLONG, 38}, {WSAEHOSTDOWN, 243}, {WSAEHOSTUNREACH, 110}, {WSAEUSERS, 244}, {WSAEMFILE, 24},
    {WSAEACCES, 13}, {WSAEFAULT, 14}, {WSAEINTR, 4}, {WSAEBADF, 9}, {WSAEINVAL, 22},
    {WSA_NOT_ENOUGH_MEMORY, 12}, {WSA_OPERATION_ABORTED, 106},
};

enum { ERRNO_ROWS = sizeof errno_table / sizeof *errno_table, ERRNO_DEFAULT = 22 };

/* Arguments of the open command, in the words of each version of Tcl. The command's name precedes each
 * form. */
static const char *const usage_client[] = {
    "?-myaddr addr? ?-myport myport? ?-async? host port",
    "?-async? ?-myaddr addr? ?-myport myport? host port",
};
static const char *const usage_server[] = {
    "-server command ?-myaddr addr? port",
    "-server command ?-backlog count? ?-myaddr addr? ?-reuseaddr boolean? ?-reuseport boolean? port",
};
static const char *const option_names[] = {
    "-async, -myaddr, -myport, or -server",
    "-async, -backlog, -myaddr, -myport, -reuseaddr, -reuseport, or -server",
};

/* Channel options in addition to Tcl's generic ones: the readable ones, and the writable ones. */
static const char *const readable_options[] = {"connecting peername sockname",
                                               "connecting keepalive nodelay peername sockname"};
static const char *const writable_options[] = {"", "keepalive nodelay"};

#endif
