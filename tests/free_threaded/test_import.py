"""What a free-threaded Python is told, which has the same functions and other objects: the package is not for
it.

Runs inside such a Python, and nothing else does.
"""

import sys

import pytest


def test_the_import_says_which_pythons_the_package_is_for():
    assert "free-threading" in sys.version
    for _ in range(2):                  # the second finds nothing half-made of the first
        with pytest.raises(ImportError, match="for CPython 3.11 and newer with the GIL, "
                                              "and this one is free-threaded: 3.") as told:
            import iocpsock  # noqa: F401
        assert sys.version in str(told.value)
        assert not [name for name in sys.modules if name.startswith("iocpsock")]
