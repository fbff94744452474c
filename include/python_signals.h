/* python_signals.h - the two functions by which CPython's own extensions let Ctrl-C end a wait.
 *
 * Python.h shows them to CPython's sources only, but python3xx.dll has exported them since 3.3 and its
 * _multiprocessing module, a DLL of its own, lives by them. The event is manual, set at each SIGINT, and of
 * use to the main thread alone, because only there the handlers run.
 *
 * Nobody has promised that they stay. So they are optional (setup.py): a Python without them leaves these
 * pointers, which python_stubs.h defines and fills, NULL, and whoever calls through one asks first.
 */
#ifndef IOCPSOCK_PYTHON_SIGNALS_H
#define IOCPSOCK_PYTHON_SIGNALS_H

extern int (*__imp__PyOS_IsMainThread)(void);
extern void *(*__imp__PyOS_SigintEvent)(void);

#define python_is_main_thread __imp__PyOS_IsMainThread
#define python_sigint_event __imp__PyOS_SigintEvent

#endif
