/* symbols.c - see symbols.h. Reads the DLL's own file (PE/COFF specification: symbol table and string table).
 *
 * Used only by a process that is about to end: nothing is released. Threads: one at a time, under the
 * caller's lock.
 */
#include <winsock2.h>
#include <windows.h>
#include <string.h>
#include "symbols.h"

#define STATIC_OR_EXTERNAL(symbol) \
    ((symbol)->StorageClass == IMAGE_SYM_CLASS_STATIC || (symbol)->StorageClass == IMAGE_SYM_CLASS_EXTERNAL)

static HMODULE module;
static char *file;

/* The DLL's file in memory, or NULL. */
static char *load(void)
{
    char path[MAX_PATH];
    HANDLE handle;
    DWORD size, got = 0;
    if (file || !GetModuleHandleExA(
                    GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT,
                    (const char *)&module, &module)
            || !GetModuleFileNameA(module, path, sizeof path))
        return file;
    handle = CreateFileA(path, GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_DELETE, NULL, OPEN_EXISTING, 0,
                         NULL);
    size = handle == INVALID_HANDLE_VALUE ? 0 : GetFileSize(handle, NULL);
    file = size ? VirtualAlloc(NULL, size, MEM_COMMIT, PAGE_READWRITE) : NULL;
    if (file && (!ReadFile(handle, file, size, &got, NULL) || got != size))
        file = NULL;
    return file;
}

static const struct {
    const char *function, *file;
} places[] = {
#include "functions.h"              /* written by setup.py */
};

/* Cython's __pyx_f_8iocpsock_9_iocpsock_op_new is op_new. */
static const char *plain(const char *name)
{
    const char *own = strstr(name, "_iocpsock_");
    return own ? own + strlen("_iocpsock_") : name;
}

/* The name of the function that `address` lies in; NULL: it is not in this DLL. */
static const char *name_of(const void *address)
{
    static char name[200];
    IMAGE_NT_HEADERS *headers;
    IMAGE_SECTION_HEADER *sections;
    IMAGE_SYMBOL *symbol, *end, *best = NULL;
    DWORD target, place, nearest = 0;
    if (!load())
        return "?";
    headers = (IMAGE_NT_HEADERS *)(file + ((IMAGE_DOS_HEADER *)file)->e_lfanew);
    sections = IMAGE_FIRST_SECTION(headers);
    symbol = (IMAGE_SYMBOL *)(file + headers->FileHeader.PointerToSymbolTable);
    end = (IMAGE_SYMBOL *)((char *)symbol + headers->FileHeader.NumberOfSymbols * IMAGE_SIZEOF_SYMBOL);
    if ((const char *)address < (const char *)module
            || (const char *)address >= (const char *)module + headers->OptionalHeader.SizeOfImage)
        return NULL;
    target = (DWORD)((const char *)address - (const char *)module);
    for (; symbol < end; symbol = (IMAGE_SYMBOL *)((char *)symbol + (1 + symbol->NumberOfAuxSymbols)
                                                                  * IMAGE_SIZEOF_SYMBOL)) {
        if (symbol->SectionNumber <= 0 || !STATIC_OR_EXTERNAL(symbol) || !ISFCN(symbol->Type))
            continue;
        place = sections[symbol->SectionNumber - 1].VirtualAddress + symbol->Value;
        if (place <= target && place >= nearest) {
            nearest = place;
            best = symbol;
        }
    }
    if (!best)
        return "?";
    if (best->N.Name.Short)
        lstrcpynA(name, (const char *)best->N.ShortName, IMAGE_SIZEOF_SHORT_NAME + 1);
    else
        lstrcpynA(name, (char *)end + best->N.Name.Long, sizeof name);
    return plain(name);
}

const char *symbols_owner(void *const *addresses, int count)
{
    const char *name = "?";
    int index;
    for (index = 0; index < count && addresses[index]; index++) {
        name = name_of(addresses[index]);
        if (!name)
            return "the host";
        if (strncmp(name, "memory_new", 10) && strncmp(name, "memory_free", 11))
            break;
    }
    return name;
}

static const char *file_of(const char *function)
{
    size_t index;
    for (index = 0; index < sizeof places / sizeof *places; index++)
        if (!strcmp(places[index].function, function))
            return places[index].file;
    return NULL;
}

/* Whether the function stands between the engine and Windows. What these call themselves comes before
 * them. */
static int is_wrapper(const char *name)
{
    static const char *const wrappers[] = {"strict_", "fault_", "outside_", "memory_give"};
    size_t index;
    for (index = 0; name && index < sizeof wrappers / sizeof *wrappers; index++)
        if (!strncmp(name, wrappers[index], strlen(wrappers[index])))
            return 1;
    return 0;
}

void symbols_trace(void *const *addresses, int count, char *text, int size)
{
    int index, first = 0, length = 0;
    const char *name, *file;
    for (index = 0; index < count && addresses[index] && (!first || index == first); index++)
        if (is_wrapper(name_of(addresses[index])))
            first = index + 1;
    text[0] = 0;
    for (index = first; index < count && addresses[index] && length < size - 200; index++) {
        name = name_of(addresses[index]);
        file = name ? file_of(name) : NULL;
        length += wsprintfA(text + length, "%s%s", index > first ? " < " : "", name ? name : "the host");
        if (file)
            length += wsprintfA(text + length, " (%s)", file);
        if (!name)
            break;
    }
}
