"""What the Python programs of the benchmark share: their values, the clock, and what they print (see
README.md here)."""

import json
import os
import sys
import time

HOST = "127.0.0.1"
BACKLOG = 1024


class Values:
    """The values of a scenario, from the pairs on the command line."""

    def __init__(self, pairs):
        self.size, self.connections, self.count, self.wave, self.limit = 64, 1, 0, 0, 0
        self.warm, self.seconds, self.mode, self.root = 0.0, 1.0, "event", ""
        for name, text in zip(pairs[::2], pairs[1::2]):
            setattr(self, name, type(getattr(self, name))(text))
        self.message = b"x" * self.size


class Clock:
    """Decides what counts: what is done after the warm-up, for so many seconds or so many times.

    With several threads each says `count` for what it has done; the races between them cost a trip at most,
    and a lock would cost more than that.
    """

    def __init__(self, values):
        self.values = values
        self.measuring = False
        self.latencies = []
        self.begun = time.perf_counter() + values.warm
        self.ended = None

    def begin(self, now):
        self.measuring = True
        self.begun = now
        say("begin")

    def count(self, started, now):
        """Count what took from `started` to `now`; true if that was the last."""
        if not self.measuring:
            if now >= self.begun:
                self.begin(now)
            return False
        if self.ended is not None:
            return True
        self.latencies.append(now - started)
        limit = self.values.limit
        if len(self.latencies) >= limit if limit else now >= self.begun + self.values.seconds:
            self.ended = now
            return True
        return False

    def result(self):
        say("end")
        say("result", trips=len(self.latencies), seconds=self.ended - self.begun,
            latencies=[round(latency * 1e6) for latency in self.latencies])


class Stream:
    """What counts in one direction: all bytes from `begin` to the end of the stream."""

    def __init__(self, values):
        self.values = values
        self.begun = time.perf_counter()
        self.written = self.total = 0
        say("begin")

    def over(self):
        """Whether the write that was just made is the last."""
        self.written += 1
        limit = self.values.limit
        return self.written >= limit if limit else time.perf_counter() >= self.begun + self.values.seconds

    def result(self):
        seconds = time.perf_counter() - self.begun
        say("end")
        say("result", bytes=self.total, seconds=seconds)


class Guests:
    """What a server says whose client is another program: where it listens, when it has accepted a wave of
    guests, or all, and when all have gone."""

    def __init__(self, values, port):
        self.wanted, self.wave, self.here, self.count = values.count, values.wave, set(), 0
        say("listening", port=port, pid=os.getpid())

    def accepted(self, guest):
        """Keep the guest; true if something was said."""
        self.here.add(guest)
        self.count += 1
        if self.count == self.wanted:
            say("result")
        elif self.wave and self.count % self.wave == 0:
            say("accepted")
        else:
            return False
        return True

    def gone(self, guest):
        self.here.remove(guest)
        if not self.here:
            say("gone")


def say(event, **fields):
    print(json.dumps({"event": event, **fields}), flush=True)


def main(scenarios, name, pairs):
    """Run the scenario called `name` of those that this program has."""
    if name not in scenarios:
        sys.exit(f"no scenario {name!r}; there are {', '.join(scenarios)}")
    scenarios[name](Values(pairs))
