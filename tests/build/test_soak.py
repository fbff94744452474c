"""The verdict of a soak, on figures made up here."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tools import soak  # noqa: E402

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
