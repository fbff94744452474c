/* python_signals.h - the two functions by which CPython's own extensions let Ctrl-C end a wait.
 *
 * Python.h shows them to CPython's sources only, but python3xx.dll has exported them since 3.3 and its _multiprocessing
 * module, a DLL of its own, lives by them. The event is manual, set at each SIGINT, and of use to the main thread alone,
 * because only there the handlers run.
 */
#ifndef IOCPSOCK_PYTHON_SIGNALS_H
#define IOCPSOCK_PYTHON_SIGNALS_H

#include <Python.h>

PyAPI_FUNC(int) _PyOS_IsMainThread(void);
PyAPI_FUNC(void *) _PyOS_SigintEvent(void);

#endif
