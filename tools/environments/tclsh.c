/* tclsh for a Tcl that is a DLL: python.org ships tcl86t.dll without a shell of its own.
 *
 * Everything is Tcl's: Tcl_MainExW runs the script or the prompt, and Tcl_Init reads init.tcl from the folder
 * that TCL_LIBRARY names. The DLL is found beside this program, and no Tcl headers are needed to build it.
 *
 * One thing is added. Tcl asks a pipe on stdin how much it holds before it reads, which a pipe of Linux's
 * cannot answer; so such a pipe is read by a thread here, and Tcl gets a pipe of Windows' own.
 */

#include <stdio.h>
#include <windows.h>

typedef int TclAppInit(void *interp);
typedef void *TclCreateInterp(void);
typedef const char *TclFindExecutable(const char *argv0);
/* argc is an int in 8.6 and a ptrdiff_t in 9.0: the wider of the two serves both. */
typedef void TclMain(INT_PTR argc, wchar_t **argv, TclAppInit *init, void *interp);

static TclAppInit *tcl_init;

static int init(void *interp)
{
    return tcl_init(interp);
}

/* The address of a function of Tcl's; without it there is nothing to run. */
static void *symbol(HMODULE tcl, const char *name)
{
    void *address = (void *)(INT_PTR)GetProcAddress(tcl, name);
    if (!address) {
        fprintf(stderr, "tclsh: " TCL_DLL " has no %s\n", name);
        exit(1);
    }
    return address;
}

struct relay {
    HANDLE from, to;
};

/* The relay's own thread: copies until either end is closed. The process does not wait for it. */
static DWORD WINAPI relay_run(void *argument)
{
    struct relay *relay = argument;
    char data[4096];
    DWORD count, written;
    while (ReadFile(relay->from, data, sizeof data, &count, NULL) && count)
        if (!WriteFile(relay->to, data, count, &written, NULL))
            break;
    CloseHandle(relay->to);
    return 0;
}

static void relay_standard_input(void)
{
    static struct relay relay;
    HANDLE input;
    relay.from = GetStdHandle(STD_INPUT_HANDLE);
    if (GetFileType(relay.from) != FILE_TYPE_PIPE)
        return;
    if (!CreatePipe(&input, &relay.to, NULL, 0) || !CreateThread(NULL, 0, relay_run, &relay, 0, NULL)) {
        fprintf(stderr, "tclsh: no pipe for stdin, Windows error %lu\n", GetLastError());
        exit(1);
    }
    SetStdHandle(STD_INPUT_HANDLE, input);
}

int wmain(int argc, wchar_t **argv)
{
    HMODULE tcl = LoadLibraryA(TCL_DLL);
    if (!tcl) {
        fprintf(stderr, "tclsh: cannot load " TCL_DLL ", Windows error %lu\n", GetLastError());
        return 1;
    }
    relay_standard_input();
    tcl_init = (TclAppInit *)symbol(tcl, "Tcl_Init");
    ((TclFindExecutable *)symbol(tcl, "Tcl_FindExecutable"))(NULL);
    ((TclMain *)symbol(tcl, "Tcl_MainExW"))(argc, argv, init,
                                            ((TclCreateInterp *)symbol(tcl, "Tcl_CreateInterp"))());
    return 0;
}
