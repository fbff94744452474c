"""Zig's C compiler, a clang that brings the headers and libraries of Windows on ARM64, from PyPI.

It builds parts of those libraries when it first links, and keeps them in a folder that is ours too.
"""

from tools.base import cache
from tools.environments import linux_python

REQUIREMENTS = linux_python.REQUIREMENTS / "zig.txt"


def program():
    """The compiler's path: `zig cc` is clang."""
    return linux_python.packages("zig", REQUIREMENTS,
                                 "Zig, the compiler for Windows on ARM64") / "ziglang" / "zig"


def environment():
    """For a build that calls it."""
    zig = program()
    kept = str(cache.root() / "zig-libraries" / zig.parent.parent.name)
    return {"IOCPSOCK_ZIG": str(zig), "ZIG_GLOBAL_CACHE_DIR": kept, "ZIG_LOCAL_CACHE_DIR": kept}
