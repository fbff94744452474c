/* control.c - the Tcl face of the test builds: the package has two commands more, `iocpsock::fault` and
 * `iocpsock::memory`.
 *
 *   iocpsock::fault plan CALL ACTION CODE SKIP TIMES PER_MILLE     see fault_plan
 *   iocpsock::fault clear
 *   iocpsock::fault counts                 dictionary: call -> {calls fired}
 *   iocpsock::fault shuffle MILLISECONDS SEED
 *   iocpsock::fault overtaken              packets dealt out after one that came later
 *   iocpsock::fault sends HOW              see sends.c; the most sends that one socket had outstanding
 *   iocpsock::fault beside                 cancels of receives beside an outstanding send on the same socket
 *   iocpsock::fault outstanding            sends outstanding
 *   iocpsock::memory blocks                blocks of the engine's in use
 *   iocpsock::memory handles               handles of the process
 *   iocpsock::memory damage PLACE          see memory_damage
 *   iocpsock::strict plays                 dictionary: play -> value; the strict build alone has this command
 *   iocpsock::strict play NAME VALUE       the value before
 *   iocpsock::strict count NAME            see strict_count
 *   iocpsock::strict breach NAME           break a rule: the process ends
 *   iocpsock::strict scene NAME            what a play looks like, in words
 *   iocpsock::strict freeze                every other thread stops at its next call
 *
 * ctypes calls the functions behind these by name. Threads: the interpreter's.
 */
#define FAULTS_THEMSELVES
#define MEMORY_ITSELF
#define WIN32_NO_STATUS
#include <winsock2.h>
#include <windows.h>
#include <winternl.h>
#undef WIN32_NO_STATUS
#include <ntstatus.h>
#include <stdlib.h>
#include <string.h>
#include "faults.h"
#include "memory.h"
#include "tcl_stubs.h"

/* Handles of this process, counted in the system's list; -1 if there is none to be had. (Wine's
 * GetProcessHandleCount says 0.) */
int memory_handles(void)
{
    ULONG size = 1 << 16, needed, index;
    SYSTEM_HANDLE_INFORMATION *list = NULL;
    NTSTATUS status;
    int count = 0;
    do {
        size *= 2;
        list = realloc(list, size);
        status = NtQuerySystemInformation(SystemHandleInformation, list, size, &needed);
    } while (status == STATUS_INFO_LENGTH_MISMATCH);
    for (index = 0; status >= 0 && index < list->Count; index++)
        count += list->Handle[index].OwnerPid == GetCurrentProcessId();
    free(list);
    return status >= 0 ? count : -1;
}

static int answer(Tcl_Interp *interp, int value)
{
    if (value < 0) {
        Tcl_SetObjResult(interp, Tcl_NewStringObj("no such call, action or place", -1));
        return TCL_ERROR;
    }
    Tcl_SetObjResult(interp, Tcl_NewWideIntObj(value));
    return TCL_OK;
}

static int misused(Tcl_Interp *interp, Tcl_Obj *command)
{
    Tcl_SetObjResult(interp, Tcl_ObjPrintf("%s: wrong arguments: see tests/instruments/control.c",
                                           Tcl_GetString(command)));
    return TCL_ERROR;
}

static int memory_command(void *data, Tcl_Interp *interp, int objc, Tcl_Obj *const *objv)
{
    const char *word = objc > 1 ? Tcl_GetString(objv[1]) : "";
    (void)data;
    if (objc == 2 && !strcmp(word, "blocks"))
        return answer(interp, memory_blocks());
    if (objc == 2 && !strcmp(word, "handles"))
        return answer(interp, memory_handles());
    if (objc == 3 && !strcmp(word, "damage"))
        return answer(interp, memory_damage(Tcl_GetString(objv[2])));
    return misused(interp, objv[0]);
}

#ifdef IOCPSOCK_FAULTS
static int integers(Tcl_Interp *interp, int count, Tcl_Obj *const *objv, int *values)
{
    int index;
    for (index = 0; index < count; index++)
        if (Tcl_GetIntFromObj(interp, objv[index], &values[index]) != TCL_OK)
            return TCL_ERROR;
    return TCL_OK;
}

static int counts(Tcl_Interp *interp)
{
    Tcl_Obj *result = Tcl_NewDictObj(), *pair;
    int call, fired;
    for (call = 0; call < FAULT_COUNT; call++) {
        pair = Tcl_NewListObj(0, NULL);
        Tcl_ListObjAppendElement(NULL, pair, Tcl_NewWideIntObj(fault_counted(call, &fired)));
        Tcl_ListObjAppendElement(NULL, pair, Tcl_NewWideIntObj(fired));
        Tcl_DictObjPut(NULL, result, Tcl_NewStringObj(fault_name(call), -1), pair);
    }
    Tcl_SetObjResult(interp, result);
    return TCL_OK;
}

static int fault_command(void *data, Tcl_Interp *interp, int objc, Tcl_Obj *const *objv)
{
    const char *word = objc > 1 ? Tcl_GetString(objv[1]) : "";
    int values[4];
    (void)data;
    if (objc == 2 && !strcmp(word, "counts"))
        return counts(interp);
    if (objc == 2 && !strcmp(word, "overtaken"))
        return answer(interp, fault_overtaken());
    if (objc == 3 && !strcmp(word, "sends") && integers(interp, 1, objv + 2, values) == TCL_OK) {
        sends_serve(values[0]);
        return answer(interp, sends_most());
    }
    if (objc == 2 && !strcmp(word, "beside"))
        return answer(interp, beside_cancels());
    if (objc == 2 && !strcmp(word, "outstanding"))
        return answer(interp, beside_sends());
    if (objc == 2 && !strcmp(word, "clear")) {
        fault_clear();
        return TCL_OK;
    }
    if (objc == 4 && !strcmp(word, "shuffle") && integers(interp, 2, objv + 2, values) == TCL_OK) {
        fault_shuffle(values[0], values[1]);
        return TCL_OK;
    }
    if (objc == 8 && !strcmp(word, "plan") && integers(interp, 4, objv + 4, values) == TCL_OK)
        return answer(interp, fault_plan(Tcl_GetString(objv[2]), Tcl_GetString(objv[3]), values[0], values[1],
                                         values[2],
                                         values[3]));
    return misused(interp, objv[0]);
}
#endif

#ifdef IOCPSOCK_STRICT
static int plays(Tcl_Interp *interp)
{
    Tcl_Obj *result = Tcl_NewDictObj();
    const char *name;
    int index, value;
    for (index = 0; value = strict_value(index, &name), name; index++)
        Tcl_DictObjPut(NULL, result, Tcl_NewStringObj(name, -1), Tcl_NewWideIntObj(value));
    Tcl_SetObjResult(interp, result);
    return TCL_OK;
}

static int strict_command(void *data, Tcl_Interp *interp, int objc, Tcl_Obj *const *objv)
{
    const char *word = objc > 1 ? Tcl_GetString(objv[1]) : "", *name = objc > 2 ? Tcl_GetString(objv[2]) : "";
    char said[1000];
    int value;
    (void)data;
    if (objc == 2 && !strcmp(word, "plays"))
        return plays(interp);
    if (objc == 2 && !strcmp(word, "freeze")) {
        strict_freeze();
        return TCL_OK;
    }
    if (objc == 3 && !strcmp(word, "count"))
        return answer(interp, strict_count(name));
    if (objc == 3 && !strcmp(word, "breach"))
        return answer(interp, strict_breach(name));
    if (objc == 3 && !strcmp(word, "scene")) {
        if (strict_scene(name, said, sizeof said) < 0)
            return answer(interp, -1);
        Tcl_SetObjResult(interp, Tcl_NewStringObj(said, -1));
        return TCL_OK;
    }
    if (objc == 4 && !strcmp(word, "play") && Tcl_GetIntFromObj(interp, objv[3], &value) == TCL_OK)
        return answer(interp, strict_play(name, value));
    return misused(interp, objv[0]);
}
#endif

int product_Iocpsock_Init(Tcl_Interp *interp);

int Iocpsock_Init(Tcl_Interp *interp)
{
    if (product_Iocpsock_Init(interp) != TCL_OK || tcl_stubs_bind(interp) != TCL_OK)
        return TCL_ERROR;
    Tcl_CreateObjCommand(interp, "::iocpsock::memory", memory_command, NULL, NULL);
#ifdef IOCPSOCK_FAULTS
    Tcl_CreateObjCommand(interp, "::iocpsock::fault", fault_command, NULL, NULL);
#endif
#ifdef IOCPSOCK_STRICT
    Tcl_CreateObjCommand(interp, "::iocpsock::strict", strict_command, NULL, NULL);
#endif
    return TCL_OK;
}
