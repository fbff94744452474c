/* winpyconfig.h - what Python.h must know of 64-bit Windows when the DLL is cross-built on another system.
 *
 * Python.h gets the platform from pyconfig.h, and the build machine's own pyconfig.h describes the build
 * machine. This file is force-included before everything else and keeps that one out. The Limited API needs
 * few facts: the sizes of C types on 64-bit Windows (LLP64), that the API is imported from a DLL, and which
 * standard headers exist. Not used on Windows.
 */
#ifndef IOCPSOCK_WINPYCONFIG_H
#define IOCPSOCK_WINPYCONFIG_H

#define Py_PYCONFIG_H       /* the guards of the two pyconfig.h variants */
#define Py_CONFIG_H

#ifndef MS_WINDOWS
#define MS_WINDOWS
#endif
#define MS_WIN32
#define MS_WIN64
#define NT_THREADS
#define WITH_THREAD
#define WITH_DOC_STRINGS 1
#define HAVE_DECLSPEC_DLL   /* Python.h then declares all symbols dllimport: see python_stubs.h */
#define Py_ENABLE_SHARED 1

#define SIZEOF_SHORT 2
#define SIZEOF_INT 4
#define SIZEOF_LONG 4
#define SIZEOF_LONG_LONG 8
#define SIZEOF_VOID_P 8
#define SIZEOF_SIZE_T 8
#define SIZEOF_TIME_T 8
#define SIZEOF_OFF_T 4
#define SIZEOF_FPOS_T 8
#define SIZEOF_WCHAR_T 2
#define SIZEOF_HKEY 8
#define SIZEOF_PID_T 8
#define ALIGNOF_SIZE_T 8
#define ALIGNOF_MAX_ALIGN_T 8

#define STDC_HEADERS 1
#define HAVE_ERRNO_H 1
#define HAVE_STDINT_H 1
#define HAVE_INTTYPES_H 1
#define HAVE_STDDEF_H 1
#define HAVE_SYS_TYPES_H 1
#define HAVE_SYS_STAT_H 1
#define HAVE_WCHAR_H 1

typedef long long Py_ssize_t;
#define HAVE_PY_SSIZE_T 1
#define PY_SSIZE_T_MAX 0x7FFFFFFFFFFFFFFFLL
#define HAVE_SSIZE_T 1

#endif
