"""What the sweeps of a session did, for the table at its end: rows of (name, runs, faults, streams that ended
short)."""

import pytest

COUNTS = pytest.StashKey()
