"""Figures: the statistics of several rounds, and how contenders compare."""

import math
import statistics


def percentile(ordered, share):
    """The smallest of the ordered values that `share` of them do not exceed (nearest rank); None if empty."""
    if not ordered:
        return None
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def summary(values):
    """Median, extremes, and the spread: the distance of the extremes as a share of the median."""
    median = statistics.median(values)
    return {"median": median, "lowest": min(values), "highest": max(values),
            "spread": (max(values) - min(values)) / median if median else 0.0, "rounds": list(values)}


def medians(samples):
    """The median of each key of dicts that have the same keys."""
    return {key: statistics.median(sample[key] for sample in samples if key in sample)
            for key in dict.fromkeys(key for sample in samples for key in sample)}


def latency(microseconds):
    """The percentiles of all latencies together."""
    ordered = sorted(microseconds)
    return {f"p{round(100 * share)}": percentile(ordered, share) for share in (0.50, 0.95, 0.99)}


def ratio(value, other, better):
    """How many times better `value` is than `other`. `better` is "more" or "less". None if it is
    undefined."""
    above, below = (value, other) if better == "more" else (other, value)
    return above / below if below else None
