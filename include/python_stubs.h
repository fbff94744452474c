/* python_stubs.h - Python's C interface without an import from python3xx.dll.
 *
 * On Windows Python.h declares every function and object __declspec(dllimport), so compiled code reaches all
 * of them through pointers named __imp_<symbol>, which an import library would define and the loader would
 * fill. Here they are ordinary variables, filled by GetProcAddress when a Python interpreter asks for the
 * module. A process that has no Python (a Tcl shell) never fills them and never needs them.
 *
 * setup.py generates the including file from the undefined symbols of the compiled extension. It defines
 *   PYTHON_SYMBOLS(X)   X(name) for every symbol reached through __imp_<name>, which a Python must have
 *   PYTHON_OPTIONAL(X)  X(name) for those that it may lack: the entry is NULL then
 *   PYTHON_THUNKS(X)    X(name) for every function whose address stands in static data and so needs a body
 * and includes this file.
 *
 * A free-threaded Python has the same functions and other objects: the head of a module definition has another
 * size. So the import is refused before that Python gets any object of ours.
 *
 * Threads: PyInit__iocpsock runs under the import lock of the one interpreter that loads us; read-only
 * afterwards.
 */
#include <string.h>
#include <windows.h>

#define SLOT(name) void *__imp_##name;
PYTHON_SYMBOLS(SLOT)
PYTHON_OPTIONAL(SLOT)
#undef SLOT

/* Such functions are slots of static types (tp_getattro and the like): at most four arguments, pointers or
 * integers, which x64 and ARM64 pass in registers whatever their type. */
typedef void *(*python_function)(void *, void *, void *, void *);
#define THUNK(name) \
    void *name(void *a, void *b, void *c, void *d); \
    void *name(void *a, void *b, void *c, void *d) { return ((python_function)__imp_##name)(a, b, c, d); }
PYTHON_THUNKS(THUNK)
#undef THUNK

#define ROW(name) {#name, &__imp_##name, 1},
#define OPTIONAL_ROW(name) {#name, &__imp_##name, 0},
static const struct {
    const char *name;
    void **slot;
    int needed;
} python_table[] = {PYTHON_SYMBOLS(ROW) PYTHON_OPTIONAL(OPTIONAL_ROW)};
#undef ROW
#undef OPTIONAL_ROW

#ifdef _MSC_VER
#include <intrin.h>
#define CALLER() _ReturnAddress()
#else
#define CALLER() __builtin_return_address(0)
#endif

/* Raise ImportError in the calling interpreter, with nothing but the three symbols that takes. */
static void refuse_import(HMODULE python, const char *message, const char *detail)
{
    void **import_error = (void **)(void *)GetProcAddress(python, "PyExc_ImportError");
    FARPROC format = GetProcAddress(python, "PyErr_Format");

    if (import_error != NULL && format != NULL)
        ((void *(*)(void *, const char *, ...))(void *)format)(*import_error, message, detail);
}

/* What the Python calls itself when it is free-threaded, or NULL. "free-threading build" is in sys.version of
 * those. */
static const char *free_threaded(HMODULE python)
{
    FARPROC ask = GetProcAddress(python, "Py_GetVersion");
    const char *version = ask != NULL ? ((const char *(*)(void))(void *)ask)() : "";

    return strstr(version, "free-threading") != NULL ? version : NULL;
}

void *PyInit_iocpsock_module(void);     /* what Cython generates for the module; renamed by setup.py */
void *PyInit__iocpsock(void);

/* python3xx.dll calls this itself, so the return address names the right DLL, whatever its version. */
void *PyInit__iocpsock(void)
{
    static HMODULE bound;
    HMODULE python = NULL;
    const char *other;
    size_t i;

    if (!GetModuleHandleExW(GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT,
                            (LPCWSTR)CALLER(), &python))
        return NULL;
    if (bound != NULL && bound != python) {
        refuse_import(python, "%s is already in use by another Python library in this process",
                      "iocpsock.dll");
        return NULL;
    }
    other = free_threaded(python);
    if (other != NULL) {
        refuse_import(python, "iocpsock.dll is for CPython 3.11 and newer with the GIL, and this one is free-threaded: %s", other);
        return NULL;
    }
    for (i = 0; i < sizeof python_table / sizeof *python_table; i++) {
        void *address = (void *)GetProcAddress(python, python_table[i].name);
        if (address == NULL && python_table[i].needed) {
            refuse_import(python, "iocpsock needs CPython 3.11 or newer: this interpreter lacks %s",
                          python_table[i].name);
            return NULL;
        }
        *python_table[i].slot = address;
    }
    bound = python;
    return PyInit_iocpsock_module();
}
