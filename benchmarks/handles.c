/* How many handles a process has, counted in the system's table of all handles: Wine does not say it of one
 * process.
 *
 *     handles PID
 */

#include <windows.h>
#include <winternl.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    DWORD pid = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
    SYSTEM_HANDLE_INFORMATION *table = NULL;
    ULONG room = 1 << 20, used, found = 0;
    NTSTATUS status;
    do {
        room *= 2;
        table = realloc(table, room);
        if (!table)
            return 1;
        status = NtQuerySystemInformation(SystemHandleInformation, table, room, &used);
    } while (status == (NTSTATUS)0xC0000004);       /* STATUS_INFO_LENGTH_MISMATCH: more room */
    if (status) {
        fprintf(stderr, "handles: the handles of the system: NTSTATUS %08lx\n", status);
        return 1;
    }
    for (ULONG i = 0; i < table->Count; i++)
        found += table->Handle[i].OwnerPid == pid;
    printf("%lu\n", found);
    return 0;
}
