"""What a Windows process holds: for each process number on stdin a line with its private bytes and its
handles.

Runs in a Windows Python. The handles are counted in the system's table of all handles, because
GetProcessHandleCount is not everywhere more than a stub.
"""

import ctypes
import struct
import sys
from ctypes import wintypes

QUERY = 0x0400 | 0x0010         # PROCESS_QUERY_INFORMATION | PROCESS_VM_READ
EXTENDED_HANDLES = 64           # SystemExtendedHandleInformation
TOO_SMALL = 0xC0000004          # STATUS_INFO_LENGTH_MISMATCH
ROW = struct.Struct("<QQQLHHLL")    # SYSTEM_HANDLE_TABLE_ENTRY_INFO_EX: object, process, handle, access, ...

kernel32 = ctypes.WinDLL("kernel32", use_last_error=True)
kernel32.OpenProcess.restype = wintypes.HANDLE
kernel32.OpenProcess.argtypes = wintypes.DWORD, wintypes.BOOL, wintypes.DWORD
kernel32.K32GetProcessMemoryInfo.argtypes = wintypes.HANDLE, ctypes.c_void_p, wintypes.DWORD
kernel32.CloseHandle.argtypes = wintypes.HANDLE,
query = ctypes.WinDLL("ntdll").NtQuerySystemInformation
query.restype = wintypes.ULONG


class MemoryCounters(ctypes.Structure):
    """PROCESS_MEMORY_COUNTERS"""
    _fields_ = [("cb", wintypes.DWORD), ("PageFaultCount", wintypes.DWORD),
                *((name, ctypes.c_size_t) for name in (
                    "PeakWorkingSetSize", "WorkingSetSize", "QuotaPeakPagedPoolUsage", "QuotaPagedPoolUsage",
                    "QuotaPeakNonPagedPoolUsage", "QuotaNonPagedPoolUsage", "PagefileUsage",
                    "PeakPagefileUsage"))]


def private_bytes(process):
    handle = kernel32.OpenProcess(QUERY, False, process)
    counters = MemoryCounters(cb=ctypes.sizeof(MemoryCounters))
    try:
        if not handle or not kernel32.K32GetProcessMemoryInfo(handle, ctypes.byref(counters), counters.cb):
            raise ctypes.WinError(ctypes.get_last_error())
    finally:
        kernel32.CloseHandle(handle)
    return counters.PagefileUsage


def handles(process):
    size = 1 << 20
    while True:
        table = ctypes.create_string_buffer(size)
        status = query(EXTENDED_HANDLES, table, size, None)
        if status != TOO_SMALL:
            break
        size *= 2
    if status:
        raise OSError(f"NtQuerySystemInformation: status {status:#x}")
    count, = struct.unpack_from("<Q", table)
    rows = memoryview(table)[16:16 + count * ROW.size]
    return sum(row[1] == process for row in ROW.iter_unpack(rows))


for line in sys.stdin:
    print(private_bytes(int(line)), handles(int(line)), flush=True)
