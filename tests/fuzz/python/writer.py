"""Makes a random sequence of steps from a seed.

It keeps a rough account of what has arrived where, so that most reads do not wait for nothing. The tables
PAIR, TLS, SINGLE and LISTENER say how often which operation is chosen for which kind of socket.
"""

import random

from calls import Calls
from objects import Objects
from starts import Starts
from values import SHORT


class Writer(Starts, Calls, Objects):
    """One sequence."""

    def __init__(self, seed):
        self.chance = random.Random(seed)
        self.steps = []
        self.pending = {}  # socket: bytes that it can probably read
        self.peer = {}
        self.forever = {}  # sockets without a time-out

    def pick(self, *choices):
        return self.chance.choice(choices)

    def add(self, line):
        self.steps.append(line)

    def some(self, good, wild, often=0.7):
        return self.chance.choice(good if self.chance.random() < often else wild)

    def write(self):
        chance = self.chance
        kind = chance.choices(["pair", "single", "listener", "tls", "other"], [45, 15, 20, 15, 5])[0]
        getattr(self, "start_" + kind)()
        for _ in range(chance.randrange(3, 22)):
            self.operation(kind)
        for name in sorted(set(self.names)):
            self.add(f"state({name})")
        return self.steps

    def timeout(self, name, value):
        self.add(f"{name}.settimeout({value})")
        self.forever[name] = value == "None"

    def not_forever(self, name):
        """Mostly, let a call end that may have to wait for nothing."""
        if self.forever.get(name) and self.chance.random() < 0.95:
            self.timeout(name, self.chance.choice(SHORT))

    def operation(self, kind):
        table = {
            "pair": self.PAIR,
            "tls": self.TLS,
            "single": self.SINGLE,
            "listener": self.LISTENER,
            "other": self.SINGLE,
        }[kind]
        names, weights = zip(*table)
        getattr(self, "op_" + self.chance.choices(names, weights)[0])(
            self.chance.choice(self.names[:2] if kind in ("pair", "tls") else self.names)
        )

    COMMON = [
        ("settimeout", 4),
        ("look", 6),
        ("option", 3),
        ("close", 1),
        ("handle", 2),
        ("thing", 4),
        ("call", 2),
    ]
    PAIR = [
        ("send", 14),
        ("receive", 14),
        ("blindly", 2),
        ("shutdown", 3),
        ("file", 5),
        ("sendfile", 4),
        ("connect", 1),
        ("urgent", 2),
        ("whole", 3),
        ("pressure", 3),
        ("together", 4),
        ("exit", 0.15),
    ] + COMMON
    TLS = [
        ("send", 12),
        ("receive", 12),
        ("blindly", 1),
        ("shutdown", 2),
        ("file", 4),
        ("sendfile", 3),
        ("tls", 6),
        ("whole", 1),
    ] + COMMON
    SINGLE = [
        ("send", 2),
        ("blindly", 4),
        ("shutdown", 2),
        ("connect", 8),
        ("bind", 4),
        ("accept", 2),
        ("file", 1),
        ("sendfile", 1),
    ] + COMMON
    LISTENER = [
        ("meet", 12),
        ("accept", 4),
        ("connect", 3),
        ("bind", 2),
        ("send", 1),
        ("blindly", 1),
        ("shutdown", 1),
    ] + COMMON
