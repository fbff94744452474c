/* tclsh for a Tcl that comes as a DLL only: python.org ships tcl86t.dll without a shell.
 *
 * Everything is Tcl's own: Tcl_MainExW runs the script or the prompt, and Tcl_Init reads init.tcl from the folder that
 * TCL_LIBRARY names. The DLL is found beside this program, and no Tcl headers are needed to build it.
 */

#include <stdio.h>
#include <windows.h>

typedef int TclAppInit(void *interp);
typedef void *TclCreateInterp(void);
typedef void TclFindExecutable(const char *argv0);
typedef void TclMain(int argc, wchar_t **argv, TclAppInit *init, void *interp);

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

int wmain(int argc, wchar_t **argv)
{
    HMODULE tcl = LoadLibraryA(TCL_DLL);
    if (!tcl) {
        fprintf(stderr, "tclsh: cannot load " TCL_DLL ", Windows error %lu\n", GetLastError());
        return 1;
    }
    tcl_init = (TclAppInit *)symbol(tcl, "Tcl_Init");
    ((TclFindExecutable *)symbol(tcl, "Tcl_FindExecutable"))(NULL);
    ((TclMain *)symbol(tcl, "Tcl_MainExW"))(argc, argv, init, ((TclCreateInterp *)symbol(tcl, "Tcl_CreateInterp"))());
    return 0;
}
