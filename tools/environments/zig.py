"""Zig's C compiler from PyPI: a clang that contains the headers and libraries of Windows on ARM64.

It builds parts of those libraries when it first links, and keeps them in a folder of ours.
"""

from tools.base import cache
from tools.environments import linux_python

REQUIREMENTS = linux_python.REQUIREMENTS / "zig.txt"


def program():
    """The compiler's path: `zig cc` is clang."""
    return linux_python.packages("zig", REQUIREMENTS,
                                 "Zig, the compiler for Windows on ARM64") / "ziglang" / "zig"


def environment():
    """The environment for a build that calls it."""
    zig = program()
    kept = str(cache.root() / "zig-libraries" / zig.parent.parent.name)
    return {"IOCPSOCK_ZIG": str(zig), "ZIG_GLOBAL_CACHE_DIR": kept, "ZIG_LOCAL_CACHE_DIR": kept}
