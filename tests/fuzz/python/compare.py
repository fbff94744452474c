"""Compares two runs of a sequence, makes sure of a difference by repeating it, and shrinks the sequence that shows it."""

from known import known
from run import Run

REPEATS = 3


def traces(steps, liar=None):
    return Run(False).run(steps), Run(True, liar).run(steps)


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


def first_difference(steps, stock, ours):
    """(number of the step, stock's outcome, ours), or None: the first one that is not known."""
    for number, pair in enumerate(zip(stock, ours)):
        one, two = differing(*map(without_text, pair))
        if one != two:
            entry = known(steps[: number + 1], one, two)
            if entry is None:
                return number, one, two
            if not entry.goes_on:
                return None
    return None


def difference(steps, liar=None):
    return first_difference(steps, *traces(steps, liar))


def certain(steps, liar=None):
    """True if the sequence differs each time it is repeated."""
    return all(difference(steps, liar) for _ in range(REPEATS))


def shrink(steps, liar=None):
    """Leave out steps, first many and then single ones, as long as the last one differs in the same way."""
    number, one, two = difference(steps, liar) or (len(steps) - 1, None, None)
    steps = steps[: number + 1]
    size = max(1, len(steps) // 2)
    while size:
        at = 0
        while at < len(steps) - 1:
            fewer = steps[:at] + steps[at + size :]
            found = difference(fewer, liar) if fewer else None
            if found and (found[1], found[2]) == (one, two):
                steps = fewer
            else:
                at += size
        size //= 2
    return steps
