"""The verdict of a soak, on figures made up here, and how it compares what was heard."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tools.load import soak  # noqa: E402

SLACK = soak.SLACK["process bytes"]


def verdict(*process_bytes):
    return soak.verdict([soak.Sample(figure, 100, 1000) for figure in process_bytes])


def test_flat():
    flat, words = verdict(*[0, 0, 0], *[10, 30, 20], *[20, 30 + SLACK, 10])
    assert flat and words.startswith("flat: ")


def test_the_first_third_does_not_count():
    assert verdict(*[9 * SLACK, 0, 0], *[1, 1, 1], *[1, 1, 1])[0]


def test_growth():
    flat, words = verdict(*[0, 0, 0], *[0, 0, 0], *[0, 0, 1 + SLACK])
    assert not flat and words.startswith("NOT FLAT: ") and f"process bytes 0 -> {1 + SLACK:,}" in words


def test_each_figure_counts():
    samples = [soak.Sample(1, 100, 1)] * 6 + [soak.Sample(1, 100 + soak.SLACK["handles"] + 1, 1)] * 3
    assert not soak.verdict(samples)[0]


def test_each_byte_counts():
    said = soak.stream(5)
    soak.compare(said, said, at_least=len(said))
    soak.compare(said[:100], said, at_least=100)
    for heard in said[:-1], said + b"x", said[1:], said[:50] + b"\0" + said[51:]:
        with pytest.raises(AssertionError):
            soak.compare(heard, said, at_least=len(said))


def test_streams_differ_at_each_place():
    first, second = soak.stream(5), soak.stream(6)
    assert len(first) == 1 + 5 * 7919 % 20000
    assert len({first[place:place + 8] for place in range(len(first) - 8)}) == len(first) - 8
    assert first[:8] != second[:8]
