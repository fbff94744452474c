"""Compares two runs of a sequence, tells a difference from chance by repeating it, and shrinks the sequence.

A *pair* is a function that runs a sequence with both implementations: (the stock trace, ours).
"""

from collections import Counter
from typing import NamedTuple

from known import known

REPEATS = 5


class Difference(NamedTuple):
    """The first step whose outcomes differ in a way that is not known."""
    number: int
    stock: object
    ours: object

    def text(self):
        return self.number, str(self.stock), str(self.ours)

    def is_ours(self, trace):
        """Has that trace at this step what ours had?"""
        if len(trace) <= self.number:
            return False
        outcome = without_text(trace[self.number])
        if isinstance(self.ours, dict) and isinstance(outcome, dict):
            return all(outcome[name] == value for name, value in self.ours.items())
        return outcome == self.ours


def without_text(outcome):
    """The outcome without what exceptions say: their class and codes count."""
    if isinstance(outcome, tuple) and len(outcome) == 4 and outcome[0] == "raised":
        return outcome[:3]
    if isinstance(outcome, (tuple, list)):
        return type(outcome)(map(without_text, outcome))
    if isinstance(outcome, dict):
        return {key: without_text(value) for key, value in outcome.items() if key != "repr"}
    return outcome


def differing(one, two):
    """Of two states, only what is different."""
    if isinstance(one, dict) and isinstance(two, dict):
        names = [name for name in one if one[name] != two.get(name)]
        return {name: one[name] for name in names}, {name: two.get(name) for name in names}
    return one, two


def difference(steps, pair):
    """The Difference, or None."""
    for number, outcomes in enumerate(zip(*pair(steps))):
        one, two = differing(*map(without_text, outcomes))
        if one != two:
            entry = known(steps[: number + 1], one, two)
            if entry is None:
                return Difference(number, one, two)
            if not entry.goes_on:
                return None
    return None


def recurring(steps, found, pair):
    """The difference that comes again when the sequence is repeated, and how often; or what was found, and 1.

    Ours need not differ each time to be at fault: twice the same is enough. But a step for which the stock
    implementation has now this outcome and now ours tells nothing of ours.
    """
    seen, count, stock_traces = {found.text(): found}, Counter([found.text()]), []
    for _ in range(REPEATS):
        traces = pair(steps)
        stock_traces.append(traces[0])
        again = difference(steps, lambda _: traces)
        if again:
            seen[again.text()] = again
            count[again.text()] += 1
    for text, times in count.most_common():
        if times > 1 and not any(seen[text].is_ours(trace) for trace in stock_traces):
            return seen[text], times
    return found, 1


def shrink(steps, found, pair):
    """Leave out steps, first many and then single ones, as long as the last one differs in the same way."""
    steps = steps[: found.number + 1]
    size = max(1, len(steps) // 2)
    while size:
        at = 0
        while at < len(steps) - 1:
            fewer = steps[:at] + steps[at + size :]
            again = difference(fewer, pair) if fewer else None
            if again and again.text()[1:] == found.text()[1:]:
                steps = fewer
            else:
                at += size
        size //= 2
    return steps
