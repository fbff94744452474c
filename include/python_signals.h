/* python_signals.h - the two functions with which CPython's own extensions let Ctrl-C end a wait.
 *
 * Python.h declares them for CPython's sources only, but python3xx.dll has exported them since 3.3, and
 * CPython's _multiprocessing module, a separate DLL, depends on them. The event is a manual-reset one, is set
 * at each SIGINT, and is useful only to the main thread, because only there the handlers run.
 *
 * CPython does not guarantee that they stay. So they are optional (setup.py): python_stubs.h defines and
 * fills these pointers, and leaves them NULL with a Python that lacks the functions. A caller checks the
 * pointer first.
 */
#ifndef IOCPSOCK_PYTHON_SIGNALS_H
#define IOCPSOCK_PYTHON_SIGNALS_H

extern int (*__imp__PyOS_IsMainThread)(void);
extern void *(*__imp__PyOS_SigintEvent)(void);

#define python_is_main_thread __imp__PyOS_IsMainThread
#define python_sigint_event __imp__PyOS_SigintEvent

#endif
