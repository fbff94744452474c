"""Random sequences of calls, on the stock sockets and on ours, compared. Runs in the Windows Python.

    fuzz.py --seed S --seconds N [--planted]        with --planted a class of ours lies, which must be found
    fuzz.py --show SEED                             the sequence of that seed, with both outcomes of each step

Started by tools/load/fuzz.py. Prints `@ SEED` before each run of a sequence, for whoever wants to know where
the process died, then what differs, then the totals. The exit status is 1 if something differed more than
once, or something of the engine is left over; what differed once and not again is told as `by chance`.
"""

import argparse
import faulthandler
import os
import sys
import time

from compare import difference, differing, recurring, shrink, without_text
from helpers import settled
from liar import Liar
from run import Run
from writer import Writer


class Fuzz:
    """Runs sequences, one seed after the other, and counts what they come to."""

    def __init__(self, seed, liar=None):
        self.first = self.seed = seed
        self.liar = liar
        self.steps, self.chance, self.differ, self.kinds = 0, 0, 0, set()

    def pair(self, steps):
        print(f"@ {self.seed}", flush=True)
        return Run(False).run(steps), Run(True, self.liar).run(steps)

    def honest(self, steps):
        return Run(False).run(steps), Run(True).run(steps)

    def run(self, end):
        while time.monotonic() < end and not (self.liar and self.kinds):
            steps = Writer(self.seed).write()
            self.steps += len(steps)
            found = difference(steps, self.pair)
            if found and not (self.liar and difference(steps, self.honest)):
                self.look_at(steps, found)
            self.seed += 1

    def look_at(self, steps, found):
        found, times = recurring(steps, found, self.pair)
        if times == 1:
            self.chance += 1
            print(f"by chance: seed {self.seed}: {steps[found.number]}: {str(found.stock)[:150]} / "
                  f"{str(found.ours)[:150]}", flush=True)
            return
        self.differ += 1
        call = steps[found.number].split("(")[0].rpartition(".")[2]
        kind = call, str(found.stock)[:80], str(found.ours)[:80]
        before = ", as before" if kind in self.kinds else ""
        print(f"DIFFERENCE: seed {self.seed}, {times} times{before}", flush=True)
        if kind not in self.kinds:
            self.kinds.add(kind)
            if not self.liar:
                show(shrink(steps, found, self.pair), self.pair)

    def totals(self, left):
        return (f"{self.seed - self.first} sequences, {self.steps} steps, seeds {self.first} to "
                f"{self.seed - 1}: {self.differ} differ, in {len(self.kinds)} ways; {self.chance} differed "
                f"once and not again; left over: {left or 'nothing'}")


def show(steps, pair):
    for step, *outcomes in zip(steps, *pair(steps)):
        one, two = map(without_text, outcomes)
        stock, ours = differing(*outcomes)
        both = "" if one == two else f"\n        stock: {stock}\n        ours:  {ours}"
        print(f"    {step}{both}", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--planted", action="store_true")
    parser.add_argument("--show", type=int)
    options = parser.parse_args()
    faulthandler.enable()
    if options.show is not None:
        show(Writer(options.show).write(), Fuzz(options.show).pair)
        status = 0
    else:
        fuzz = Fuzz(options.seed, Liar if options.planted else None)
        fuzz.run(time.monotonic() + options.seconds)
        left = settled()
        print(fuzz.totals(left), flush=True)
        status = 1 if fuzz.kinds or left else 0
    sys.stdout.flush()
    os._exit(status)        # threads that a stock socket keeps waiting would hold the process


main()
