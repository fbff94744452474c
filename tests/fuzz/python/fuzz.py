"""Random sequences of calls, on the stock sockets and on ours, compared. Runs in the Windows Python; started by tools/fuzz.py.

    fuzz.py --seed S --seconds N [--planted]        --planted: with a class of ours that lies, which must be found
    fuzz.py --show SEED                             the sequence of that seed, with both outcomes of each step

Prints `@ SEED` before each sequence, for whoever wants to know where the process died, then differences, then the totals.
The exit status is 1 if something differed, or something of the engine is left over.
"""

import argparse
import faulthandler
import gc
import os
import sys
import time

import iocpsock
from compare import certain, difference, differing, shrink, traces
from writer import Writer

SETTLED = 5             # seconds in which the engine's counters must come to zero


class Liar(iocpsock.socket):
    """Loses the last byte of a longer receive: the fault that shows that faults are found."""

    __module__, __qualname__ = iocpsock.socket.__module__, iocpsock.socket.__qualname__

    def recv(self, size, *flags):
        data = super().recv(size, *flags)
        return data[:-1] if len(data) > 4 else data


def live():
    end = time.monotonic() + SETTLED
    while True:
        gc.collect()
        left = {name: count for name, count in iocpsock.stats().items() if name.endswith("_live") and count}
        if not left or time.monotonic() > end:
            return left
        time.sleep(0.05)


def show(steps, liar=None):
    for step, *outcomes in zip(steps, *traces(steps, liar)):
        one, two = differing(*outcomes)
        print(f"    {step}" + ("" if one == two else f"\n        stock: {one}\n        ours:  {two}"), flush=True)


def fuzz(seed, seconds, liar):
    first, end = seed, time.monotonic() + seconds
    steps_run, chance, kinds = 0, 0, {}
    while time.monotonic() < end:
        print(f"@ {seed}", flush=True)
        steps = Writer(seed).write()
        steps_run += len(steps)
        found = difference(steps, liar)
        if liar and difference(steps):
            found = None        # it differs without the lie: not what is looked for
        if found and not certain(steps, liar):
            chance += 1
            print(f"by chance: seed {seed}: {steps[found[0]]}: {str(found[1])[:150]} / {str(found[2])[:150]}", flush=True)
        elif found:
            kind = steps[found[0]].split("(")[0].rpartition(".")[2], str(found[1])[:80], str(found[2])[:80]
            kinds[kind] = kinds.get(kind, 0) + 1
            if kinds[kind] == 1:
                print(f"DIFFERENCE: seed {seed}", flush=True)
                show(shrink(steps, liar), liar)
        seed += 1
        if liar and kinds:
            break
    left = live()
    print(f"{seed - first} sequences, {steps_run} steps, seeds {first} to {seed - 1}: {sum(kinds.values())} differ, "
          f"in {len(kinds)} ways; {chance} differed once and not again; left over: {left or 'nothing'}", flush=True)
    return 1 if kinds or left else 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--planted", action="store_true")
    parser.add_argument("--show", type=int)
    options = parser.parse_args()
    faulthandler.enable()
    if options.show is not None:
        show(Writer(options.show).write())
        status = 0
    else:
        status = fuzz(options.seed, options.seconds, Liar if options.planted else None)
    sys.stdout.flush()
    os._exit(status)        # threads that a stock socket keeps waiting would hold the process


main()
