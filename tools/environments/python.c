/* python.exe for a CPython that came as a DLL alone: it loads PYTHON_DLL from its own folder and lets that
 * run Py_Main.
 *
 * The DLL finds its library by the folder of this program. No Python headers are needed to build it.
 */

#include <stdio.h>
#include <windows.h>

typedef int PyMain(int argc, wchar_t **argv);

int wmain(int argc, wchar_t **argv)
{
    HMODULE python = LoadLibraryA(PYTHON_DLL);
    PyMain *run = python ? (PyMain *)(void *)GetProcAddress(python, "Py_Main") : NULL;
    if (!run) {
        fprintf(stderr, "python: cannot load " PYTHON_DLL ", Windows error %lu\n", GetLastError());
        return 1;
    }
    return run(argc, argv);
}
