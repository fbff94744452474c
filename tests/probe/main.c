/* main.c - the probe's frame: each subject in a process of its own, bounded in time; its answers, or JSON.
 *
 *     probe [--json] [--limit MILLISECONDS] [SUBJECT...]
 *
 * The processes that answer are this program again: `probe --ask SUBJECT` prints lines "NAME<tab>ANSWER". A
 * question that a subject did not come to is answered with how its process ended. Threads: a reader of the
 * pipe beside the main thread.
 */
#include "probe.h"
#include <stdarg.h>

static DWORD limit = 30000; /* milliseconds for one subject */
enum { ROOM = 65536 };      /* bytes of answers of one subject */
enum { ARM64 = 12 };        /* PROCESSOR_ARCHITECTURE_ARM64, which older SDKs lack */

static const struct subject *const subjects[]
    = {&cancel, &send_end, &closing, &bound, &backlog, &accepted, &transmit, &clocks, &afd, &port};
enum { SUBJECTS = sizeof subjects / sizeof *subjects };

NTSYSAPI LONG NTAPI RtlGetVersion(OSVERSIONINFOW *);

/* ------------------------------------------------------------------ in the process of a subject */

void answer(const char *name, const char *format, ...)
{
    va_list arguments;
    printf("%s\t", name);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf("\n");
    fflush(stdout);
}

void give_up(const char *what, int code)
{
    printf("\t%s failed: %s\n", what, code_name(code));
    fflush(stdout);
    ExitProcess(1);
}

/* What start_doomed starts: it never ends by itself. */
static void be_doomed(USHORT number)
{
    static char memory[100];
    struct sockaddr_in address = loopback(number);
    struct op op;
    SOCKET sock = make_socket();
    if (connect(sock, (struct sockaddr *)&address, sizeof address))
        give_up("connect", WSAGetLastError());
    post_receive(&op, sock, memory, sizeof memory);
    send(sock, "x", 1, 0);
    Sleep(limit);
}

static HANDLE start(const char *arguments, HANDLE output)
{
    char program[MAX_PATH], line[MAX_PATH + 100];
    STARTUPINFOA how = {0};
    PROCESS_INFORMATION process;
    how.cb = sizeof how;
    how.dwFlags = STARTF_USESTDHANDLES;
    how.hStdOutput = output;
    how.hStdError = GetStdHandle(STD_ERROR_HANDLE);
    GetModuleFileNameA(NULL, program, sizeof program);
    sprintf(line, "\"%s\" %s", program, arguments);
    if (!CreateProcessA(program, line, NULL, NULL, output != NULL, CREATE_NO_WINDOW, NULL, NULL, &how,
                        &process))
        return NULL;
    CloseHandle(process.hThread);
    return process.hProcess;
}

HANDLE start_doomed(USHORT number)
{
    char arguments[40];
    HANDLE process;
    sprintf(arguments, "--doomed %u", number);
    process = start(arguments, NULL);
    if (!process)
        give_up("CreateProcess", GetLastError());
    return process;
}

/* ------------------------------------------------------------------ in the process that asks them all */

struct reader {
    HANDLE pipe;
    char text[ROOM];
    DWORD length;
};

/* The reader's thread: until all writing ends of the pipe are closed, or the room is full. */
static DWORD WINAPI read_all(void *argument)
{
    struct reader *reader = argument;
    DWORD count;
    while (reader->length < ROOM - 1
           && ReadFile(reader->pipe, reader->text + reader->length, ROOM - 1 - reader->length, &count, NULL)
           && count)
        reader->length += count;
    return 0;
}

/* What a subject says in a process of its own, and in `*ending` how that ended, if not as it should. */
static void hear(const struct subject *subject, struct reader *reader, char *ending)
{
    SECURITY_ATTRIBUTES inherit = {sizeof inherit, NULL, TRUE};
    HANDLE writing = NULL, process, thread;
    char arguments[60];
    DWORD status = 0;
    memset(reader, 0, sizeof *reader);
    sprintf(arguments, "--ask %s", subject->name);
    if (!CreatePipe(&reader->pipe, &writing, &inherit, 0))
        exit(2);
    SetHandleInformation(reader->pipe, HANDLE_FLAG_INHERIT, 0);
    process = start(arguments, writing);
    CloseHandle(writing);
    thread = CreateThread(NULL, 0, read_all, reader, 0, NULL);
    if (!process || !thread)
        exit(2);
    *ending = 0;
    if (WaitForSingleObject(process, limit) != WAIT_OBJECT_0) {
        TerminateProcess(process, 1);
        sprintf(ending, "no answer in %lu ms", limit);
    } else if (GetExitCodeProcess(process, &status) && status)
        sprintf(ending, "its process ended with %08lx", status);
    WaitForSingleObject(thread, PATIENCE);
    CloseHandle(process);
}

/* The answer to a question, cut out of what was heard: of the line that begins with its name and a tab. */
static BOOL find(const char *text, const char *name, char *found, size_t room)
{
    size_t length = strlen(name);
    while (*text) {
        size_t line = strcspn(text, "\r\n");
        if (line > length && !strncmp(text, name, length) && text[length] == '\t') {
            _snprintf(found, room - 1, "%.*s", (int)(line - length - 1), text + length + 1);
            found[room - 1] = 0;
            return TRUE;
        }
        text += line;
        text += strspn(text, "\r\n");
    }
    return FALSE;
}

static void print_json(const char *text)
{
    putchar('"');
    for (; *text; text++)
        if (*text == '"' || *text == '\\')
            printf("\\%c", *text);
        else if ((unsigned char)*text < ' ')
            printf("\\u%04x", *text);
        else
            putchar(*text);
    putchar('"');
}

static void print_question(const struct question *question, const char *said, BOOL json)
{
    const char *const fields[]
        = {"name", question->name, "question", question->text, "assumed", question->assumed, "answer", said};
    size_t i;
    if (!json) {
        BOOL other = strcmp(question->assumed, said) && strcmp(question->assumed, "either");
        printf("%-22s %s\n%-22s   %s%s%s\n", question->name, question->text, "", said,
               other ? "   -- assumed: " : "", other ? question->assumed : "");
        return;
    }
    printf("  {");
    for (i = 0; i < sizeof fields / sizeof *fields; i++) {
        print_json(fields[i]);
        printf(i % 2 ? ", " : ": ");
    }
    printf("\"exact\": %s}", question->exact ? "true" : "false");
}

static void print_system(BOOL json)
{
    OSVERSIONINFOEXW info;
    SYSTEM_INFO machine;
    const char *(CDECL * wine)(void)
        = (const char *(CDECL *)(void))(void *)GetProcAddress(GetModuleHandleA("ntdll"), "wine_get_version");
    const char *processor;
    memset(&info, 0, sizeof info);
    info.dwOSVersionInfoSize = sizeof info;
    RtlGetVersion((OSVERSIONINFOW *)&info);
    GetNativeSystemInfo(&machine);
    processor = machine.wProcessorArchitecture == ARM64 ? "arm64" : "x64";
    if (!json) {
        printf("%s%s (says it is Windows %lu.%lu build %lu, %s, %s)\n\n", wine ? "Wine " : "Windows",
               wine ? wine() : "", info.dwMajorVersion, info.dwMinorVersion, info.dwBuildNumber,
               info.wProductType == VER_NT_WORKSTATION ? "client" : "server", processor);
        return;
    }
    printf("{\"system\": {\"wine\": ");
    if (wine)
        print_json(wine());
    else
        printf("null");
    printf(", \"version\": \"%lu.%lu\", \"build\": %lu, \"server\": %s, \"processor\": \"%s\"},\n "
           "\"answers\": [\n",
           info.dwMajorVersion, info.dwMinorVersion, info.dwBuildNumber,
           info.wProductType == VER_NT_WORKSTATION ? "false" : "true", processor);
}

static const struct subject *subject_named(const char *name)
{
    size_t i;
    for (i = 0; i < SUBJECTS; i++)
        if (!strcmp(subjects[i]->name, name))
            return subjects[i];
    fprintf(stderr, "probe: no subject %s\n", name);
    exit(2);
}

static BOOL wanted(const struct subject *subject, int count, char **names)
{
    while (count--)
        if (subject_named(names[count]) == subject)
            return TRUE;
    return FALSE;
}

static void ask_all(BOOL json, int count, char **names)
{
    static struct reader reader;
    char ending[60], said[512];
    const char *between = "";
    size_t i;
    const struct question *question;
    print_system(json);
    for (i = 0; i < SUBJECTS; i++) {
        if (count && !wanted(subjects[i], count, names))
            continue;
        hear(subjects[i], &reader, ending);
        for (question = subjects[i]->questions; question->name; question++) {
            if (!find(reader.text, question->name, said, sizeof said)
                && !find(reader.text, "", said, sizeof said))
                strcpy(said, *ending ? ending : "no answer");
            if (json)
                printf("%s", between);
            print_question(question, said, json);
            between = ",\n";
        }
        fflush(stdout);
    }
    if (json)
        printf("\n]}\n");
}

int main(int argc, char **argv)
{
    WSADATA data;
    BOOL json = FALSE;
    SetErrorMode(SEM_FAILCRITICALERRORS | SEM_NOGPFAULTERRORBOX);
    if (WSAStartup(0x202, &data))
        return 2;
    for (argc--, argv++; argc && !strncmp(*argv, "--", 2); argc--, argv++) {
        if (!strcmp(*argv, "--json")) {
            json = TRUE;
            continue;
        }
        if (argc < 2)
            return 2;
        if (!strcmp(argv[0], "--ask")) {
            subject_named(argv[1])->ask();
            return 0;
        }
        if (!strcmp(argv[0], "--doomed"))
            be_doomed((USHORT)atoi(argv[1]));
        else if (!strcmp(argv[0], "--limit"))
            limit = strtoul(argv[1], NULL, 10);
        else
            return 2;
        argc--, argv++;
    }
    ask_all(json, argc, argv);
    return 0;
}
