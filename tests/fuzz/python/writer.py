"""Makes a random sequence of steps from a seed. It keeps a rough account of what has arrived where, so that most reads do not
wait for nothing. The tables PAIR, TLS, SINGLE and LISTENER say how often which operation is chosen for which kind of socket.
"""

import random

from objects import Objects
from values import (
    ADDRESSES,
    BINDS,
    BUFFERS,
    COUNTS,
    FLAGS,
    GOOD,
    OPTIONS,
    PAYLOADS,
    SAFE_BUFFERS,
    SMALL,
    TIMEOUTS,
)


class Writer(Objects):
    """Makes a sequence. It keeps a rough account of what has arrived where, so that most reads do not wait for nothing."""

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

    def start_pair(self):
        host, family = self.pick(
            ("127.0.0.1", "socket.AF_INET"), ("127.0.0.1", "socket.AF_INET"), ("::1", "socket.AF_INET6")
        )
        how = self.chance.randrange(4)
        if how == 0:
            self.add("a, b := socket.socketpair()")
            self.names = ["a", "b"]
        else:
            self.add(f"l := socket.create_server(({host!r}, 0), family={family})")
            if how == 1:
                self.add("a := socket.create_connection(l.getsockname()[:2])")
            else:
                self.add(f"a := socket.socket({family})")
                self.add("a.connect(l.getsockname())")
            self.add("b, address := l.accept()")
            self.names = ["a", "b"] if how == 2 else ["a", "b", "l"]
        self.peer = {"a": "b", "b": "a"}
        for name in "ab":
            self.forever[name] = True
            if self.chance.random() < 0.6:
                self.timeout(name, self.pick("0.03", "0.05", "0.1"))

    def start_tls(self):
        self.add("l := socket.create_server(('127.0.0.1', 0))")
        self.add("c := socket.create_connection(l.getsockname())")
        self.add("d, address := l.accept()")
        for name in "cd":
            if self.chance.random() < 0.5:
                self.add(f"{name}.settimeout(2)")
        options = self.pick("", "", "", ", suppress_ragged_eofs=False", ", do_handshake_on_connect=False")
        self.add(f"a, b := tls(c, d, ssl.TLSVersion.{self.pick('TLSv1_2', 'TLSv1_3')}{options})")
        self.names = ["a", "b", "c"] if self.chance.random() < 0.2 else ["a", "b"]
        self.peer = {"a": "b", "b": "a"}
        for name in "ab":
            self.forever[name] = True
            if self.chance.random() < 0.6:
                self.timeout(name, self.pick("0.05", "0.1"))

    def start_single(self):
        self.add(
            "s := socket.socket("
            + self.pick(
                "",
                "",
                "socket.AF_INET6",
                "socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP",
                "socket.AF_INET6, socket.SOCK_STREAM, 0",
            )
            + ")"
        )
        self.names = ["s"]
        self.forever["s"] = True
        if self.chance.random() < 0.6:
            self.timeout("s", self.pick("0.03", "0.1"))

    def start_other(self):
        self.add(
            "s := socket.socket("
            + self.pick(
                "socket.AF_INET, socket.SOCK_DGRAM",
                "socket.AF_INET6, socket.SOCK_DGRAM",
                "type=socket.SOCK_DGRAM",
                "socket.AF_INET, socket.SOCK_RAW",
                "99",
                "'x'",
                "socket.AF_INET, 77",
                "socket.AF_INET, socket.SOCK_STREAM, 17",
                "fileno=12345678",
                "fileno=-1",
                "fileno='x'",
                "fileno=1.0",
                "socket.AF_INET, socket.SOCK_STREAM, 0, None",
                "-1, -1, -1",
                "fileno=0",
                "socket.AF_INET, socket.SOCK_STREAM, -1",
            )
            + ")"
        )
        self.names = ["s"]
        self.add("s.settimeout(0.05)")

    def start_listener(self):
        host, family = self.pick(("127.0.0.1", "socket.AF_INET"), ("::1", "socket.AF_INET6"))
        if self.chance.random() < 0.5:
            self.add(
                f"l := socket.create_server(({host!r}, 0), family={family}{self.pick('', ', backlog=5', ', backlog=0', ', backlog=-1')})"
            )
        else:
            self.add(f"l := socket.socket({family})")
            self.add(f"l.bind(({host!r}, 0))")
            self.add(f"l.listen({self.pick('', '5', '0', '-1', '2**31-1')})")
        self.add(f"a := socket.socket({family})")
        self.names = ["l", "a"]
        self.forever["l"] = self.forever["a"] = True
        if self.chance.random() < 0.7:
            self.timeout("l", self.pick("0.05", "0.1"))

    def timeout(self, name, value):
        self.add(f"{name}.settimeout({value})")
        self.forever[name] = value == "None"

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

    def op_send(self, s):
        call, data = self.pick("send", "sendall"), self.some(GOOD, PAYLOADS)
        flags = self.chance.random() < 0.2 and ", " + self.chance.choice(FLAGS) or ""
        self.add(f"{s}.{call}({data}{flags})")
        if s in self.peer:
            self.pending[self.peer[s]] = self.pending.get(self.peer[s], 0) + 5

    def op_receive(self, s):
        if not self.pending.get(s) and self.forever.get(s) and self.chance.random() < 0.92:
            other = self.peer[s]
            self.add(f"{other}.sendall({self.chance.choice(GOOD)})")
            self.pending[s] = 5
        self.op_blindly(s)
        self.pending[s] = max(0, self.pending.get(s, 0) - 5)

    def op_blindly(self, s):
        flags = ", " + self.chance.choice(FLAGS) if self.chance.random() < 0.35 else ""
        count = self.some(SMALL, COUNTS, 0.75)
        buffer = self.some(SAFE_BUFFERS, BUFFERS, 0.65)
        bytes_ = self.pick("", "", ", 3", ", 0", ", 5", ", -1", ", 1000", ", None", ", 2**31", ", True")
        self.add(
            self.pick(
                f"{s}.recv({count}{flags})",
                f"{s}.recv({count}{flags})",
                f"{s}.recvfrom({count}{flags})",
                f"filled({s}.recv_into, {buffer}{bytes_ or ', 0'}{flags})",
                f"filled({s}.recv_into, {buffer}{bytes_})",
                f"filled({s}.recvfrom_into, {buffer}{bytes_ or ', 0'}{flags})",
            )
        )

    def op_whole(self, s):
        if s not in self.peer:
            return
        self.add(f"{self.peer[s]}.sendall(letters(20))")
        self.add(
            self.pick(
                f"{s}.recv(20, socket.MSG_WAITALL)",
                f"{s}.recv(5, socket.MSG_WAITALL)",
                f"filled({s}.recv_into, bytearray(12), 0, socket.MSG_WAITALL)",
                f"{s}.recvfrom(20, socket.MSG_WAITALL)",
                f"{s}.recv(20, socket.MSG_WAITALL|socket.MSG_PEEK)",
            )
        )

    def op_urgent(self, s):
        if s not in self.peer:
            return
        self.add(
            f"{self.peer[s]}.{self.pick('send', 'sendall')}({self.pick('b%s' % repr('!'), 'b%s' % repr('abc'))}, socket.MSG_OOB)"
        )
        self.add(f"ready({s})")
        self.add(
            self.pick(
                f"{s}.recv(1, socket.MSG_OOB)",
                f"{s}.recv(5)",
                f"{s}.recv(1, socket.MSG_OOB|socket.MSG_PEEK)",
                f"{s}.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)",
            )
        )

    def op_shutdown(self, s):
        self.add(
            f"{s}.shutdown({self.some(['socket.SHUT_RD', 'socket.SHUT_WR', 'socket.SHUT_RDWR'], ['3', '-1', 'None', '1.0', chr(39) + 'x' + chr(39), '2**40'], 0.85)})"
        )

    def op_close(self, s):
        self.add(
            self.pick(
                f"{s}.close()",
                f"{s}.__exit__(None, None, None)",
                f"inside({s}, lambda: {s}.gettimeout())",
                f"({s}.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('HH', 1, 0)), {s}.close())",
            )
        )

    def op_settimeout(self, s):
        if self.chance.random() < 0.75:
            self.timeout(s, self.some(["None", "0", "0.03", "0.05", "0.1"], TIMEOUTS))
        else:
            self.add(
                self.pick(
                    f"{s}.setblocking({self.pick('True', 'False', '0', '1', '2', repr('no'), 'None', '1.5', '2**70', '[]')})",
                    f"socket.setdefaulttimeout({self.some(['None', '0.05', '0', '2'], TIMEOUTS, 0.6)})",
                    "socket.getdefaulttimeout()",
                    f"{s}.gettimeout()",
                )
            )
            self.forever[s] = False

    def op_look(self, s):
        self.add(
            self.pick(
                f"state({s})",
                f"ready({s})",
                f"{s}.getsockname()",
                f"{s}.getpeername()",
                f"{s}.gettimeout()",
                f"{s}.getblocking()",
                f"repr({s})",
                f"{s}.fileno() >= 0",
                f"{s}.timeout",
            )
        )

    def op_option(self, s):
        level, name = self.chance.choice(OPTIONS)
        value = self.pick(
            "1",
            "0",
            "1",
            "b'\\1\\0\\0\\0'",
            "b''",
            "None",
            "'x'",
            "-1",
            "2**40",
            "1.0",
            "struct.pack('HH', 1, 1)",
            "bytearray(4)",
        )
        self.add(
            self.pick(
                f"{s}.getsockopt({level}, {name})",
                f"{s}.getsockopt({level}, {name})",
                f"{s}.getsockopt({level}, {name}, {self.pick('4', '1', '100', '0', '-1', '2000', '1024')})",
                f"{s}.setsockopt({level}, {name}, {value})",
                f"{s}.setsockopt({level}, {name}, {value})",
                f"{s}.setsockopt({level}, {name}, None, {self.pick('0', '4', '-1')})",
                f"{s}.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 4)",
                f"{s}.setsockopt(socket.SOL_SOCKET, socket.{self.pick('SO_RCVBUF', 'SO_SNDBUF')}, {self.pick('4096', '100000', '0', '-1')})",
                f"{s}.ioctl(socket.SIO_KEEPALIVE_VALS, {self.pick('(1, 1000, 1000)', '(0, 0, 0)', '1', '(1, 2)', 'None', '(1, -1, 1)')})",
                f"{s}.ioctl({self.pick('socket.SIO_RCVALL', 'socket.SIO_LOOPBACK_FAST_PATH', '99', repr('x'), '-1')}, {self.pick('1', '0', 'True')})",
            )
        )

    def op_handle(self, s):
        """Duplicates and handles: afterwards the sequence goes on with either."""
        spare = self.pick("x", "y", s)
        self.add(
            self.pick(
                f"{spare} := {s}.dup()",
                f"x := socket.fromfd({s}.fileno(), {s}.family, {s}.type)",
                f"{spare} := socket.fromshare({s}.share(os.getpid()))",
                f"{s}.share({self.pick('0', '-1', '2**40', repr('x'), '99999999')})",
                f"h := {s}.detach()",
                f"{spare} := socket.socket(fileno={s}.detach())",
                f"x := socket.socket(fileno={s}.fileno())",
                f"{s}.set_inheritable({self.pick('True', 'False', '0', 'None', repr('x'))})",
                f"{s}.get_inheritable()",
                "s := socket.socket(fileno=h)",
                "socket.close(h)",
                f"socket.dup({s}.fileno()) >= 0",
                f"socket.fromshare({self.pick('b' + repr('junk'), 'None', 'bytes(372)', 'b' + repr(''))})",
                f"socket.SocketType is {s}.__class__.__mro__[-2]",
                f"x := socket.socket({s}.family, {s}.type, {s}.proto, {s}.detach())",
            )
        )

    def op_connect(self, s):
        address = self.some(
            ["('127.0.0.1', 1)", "('::1', 1)", "('localhost', 1)", "l.getsockname()"], ADDRESSES, 0.35
        )
        self.add(f"{s}.{self.pick('connect', 'connect', 'connect_ex')}({address})")

    def op_bind(self, s):
        self.add(
            self.pick(
                f"{s}.bind({self.some(BINDS[:3], BINDS, 0.4)})",
                f"{s}.bind({self.some(BINDS[:3], BINDS, 0.4)})",
                f"{s}.listen({self.pick('', '1', '0', '-1', '2**31', '1.0', 'None', repr('x'))})",
            )
        )

    def op_accept(self, s):
        self.add(f"b, address := {s}.accept()")

    def op_meet(self, s):
        """A client comes, and mostly it is accepted."""
        if self.chance.random() < 0.5:
            self.add("a := socket.socket(l.family)")
        self.add(
            self.pick(
                "a.connect(l.getsockname())",
                "a.connect_ex(l.getsockname())",
                "a := socket.create_connection(l.getsockname()[:2])",
                "a := socket.create_connection(l.getsockname()[:2], 0.5)",
            )
        )
        if self.chance.random() < 0.2:
            self.add("ready(l)")
        if self.chance.random() < 0.85:
            self.add("b, address := l.accept()")
            self.add(
                self.pick(
                    "state(b)",
                    "(a.sendall(b'to b'), b.recv(10))",
                    "b.getpeername() == a.getsockname()",
                    "(b.gettimeout(), b.getblocking())",
                )
            )
        if self.chance.random() < 0.1:
            self.add("a.close()")

    def op_pressure(self, s):
        """More than fits: one end sends on a thread while the other takes it late, and in odd pieces."""
        if s in self.peer:
            size, piece = self.pick(100_000, 700_000, 3_000_000), self.pick(999, 65_536, 1 << 20)
            self.add(
                f"pressure({s}, {self.peer[s]}, {size}, {piece}, {self.pick('sendall', 'send', 'sendfile')!r})"
            )

    def op_together(self, s):
        """A call that waits on a thread, and what happens to its socket meanwhile."""
        if s in self.peer:
            other = self.peer[s]
            waits = self.pick(
                f"{s}.recv(5)",
                f"{s}.recv_into(bytearray(5))",
                f"{s}.recvfrom(5)",
                f"{s}.makefile('rb').readline()",
            )
            then = self.pick(
                f"{other}.sendall(b'late\\n')",
                f"{other}.shutdown(socket.SHUT_WR)",
                f"{other}.close()",
                f"{s}.shutdown(socket.SHUT_RDWR)",
                f"{s}.close()",
                f"{s}.gettimeout()",
            )
            self.add(f"together(lambda: {waits}, lambda: {then}, lambda: {other}.shutdown(socket.SHUT_WR))")

    def op_exit(self, s):
        """A process that sends and ends: what of it arrives."""
        end = self.pick(
            "",
            "sys.exit(3)",
            "raise SystemExit",
            "1 / 0",
            "os._exit(4)",
            "s.close()",
            "s.shutdown(1)",
            "del s",
        )
        call = self.pick(
            "s.sendall(b'x' * 200000)", "s.send(b'hello')", "s.makefile('w').write('hello')", "s.sendall(b'')"
        )
        self.add(f"exits({call!r}, {end!r})")
