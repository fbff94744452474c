"""Operations that sockets are for: sending, receiving, connecting, accepting, closing, options, handles."""

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
    SHORT,
    SMALL,
    TIMEOUTS,
)


class Calls:
    """Each adds one step or a few to the sequence, for the socket of that name."""

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
        if not self.pending.get(s):
            self.not_forever(s)
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
        call, data = self.pick("send", "sendall"), self.pick("b'!'", "b'abc'")
        self.add(f"{self.peer[s]}.{call}({data}, socket.MSG_OOB)")
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
        good = ["socket.SHUT_RD", "socket.SHUT_WR", "socket.SHUT_RDWR"]
        self.add(f"{s}.shutdown({self.some(good, ['3', '-1', 'None', '1.0', repr('x'), '2**40'], 0.85)})")

    def op_close(self, s):
        self.add(
            self.pick(
                f"{s}.close()",
                f"{s}.__exit__(None, None, None)",
                f"inside({s}, lambda: {s}.gettimeout())",
                f"{s}.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('HH', 1, 0)), {s}.close()",
            )
        )

    def op_settimeout(self, s):
        if self.chance.random() < 0.75:
            self.timeout(s, self.some(["None", "0", *SHORT, "1"], TIMEOUTS))
        else:
            blocking = self.pick("True", "False", "0", "1", "2", "'no'", "None", "1.5", "2**70", "[]")
            default = self.some(["None", SHORT[0], "0", "2"], TIMEOUTS, 0.6)
            self.add(
                self.pick(
                    f"{s}.setblocking({blocking})",
                    f"socket.setdefaulttimeout({default})",
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
        size = self.pick("4", "1", "100", "0", "-1", "2000", "1024")
        room = f"socket.{self.pick('SO_RCVBUF', 'SO_SNDBUF')}, {self.pick('4096', '100000', '0', '-1')}"
        keepalive = self.pick("(1, 1000, 1000)", "(0, 0, 0)", "1", "(1, 2)", "None", "(1, -1, 1)")
        control = self.pick("socket.SIO_RCVALL", "socket.SIO_LOOPBACK_FAST_PATH", "99", "'x'", "-1")
        self.add(
            self.pick(
                f"{s}.getsockopt({level}, {name})",
                f"{s}.getsockopt({level}, {name})",
                f"{s}.getsockopt({level}, {name}, {size})[:4]",
                f"{s}.setsockopt({level}, {name}, {value})",
                f"{s}.setsockopt({level}, {name}, {value})",
                f"{s}.setsockopt({level}, {name}, None, {self.pick('0', '4', '-1')})",
                f"{s}.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 4)",
                f"{s}.setsockopt(socket.SOL_SOCKET, {room})",
                f"{s}.ioctl(socket.SIO_KEEPALIVE_VALS, {keepalive})",
                f"{s}.ioctl({control}, {self.pick('1', '0', 'True')})",
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
        self.not_forever(s)
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
                "a := socket.create_connection(l.getsockname()[:2], 5)",
            )
        )
        if self.chance.random() < 0.2:
            self.add("ready(l)")
        if self.chance.random() < 0.85:
            self.not_forever("l")
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
            size, piece = self.pick((100_000, 9_999), (700_000, 65_536), (3_000_000, 1 << 20))
            how = self.pick("sendall", "send", "sendfile")
            self.add(f"pressure({s}, {self.peer[s]}, {size}, {piece}, {how!r})")

    def op_together(self, s):
        """A call that waits on a thread, and what happens to its socket meanwhile."""
        if s not in self.peer:
            return
        other = self.peer[s]
        waits = self.pick(
            f"{s}.recv(5)",
            f"{s}.recv_into(bytearray(5))",
            f"{s}.recvfrom(5)",
            f"{s}.makefile('rb').readline()",
        )
        release = f"{other}.shutdown(socket.SHUT_WR)"
        then = self.pick(
            f"{other}.sendall(b'late\\n')",
            release,
            f"{other}.close()",
            f"({s}.shutdown(socket.SHUT_RDWR), {release})",
            f"({s}.close(), {release})" if "makefile" in waits else f"{s}.close()",
            f"({s}.gettimeout(), {release})",
        )
        self.add(f"together({s}, lambda: {waits}, lambda: {then}, lambda: {release})")
        self.pending[s] = 0

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
            "s.sendall(b'x' * 200000)",
            "s.send(b'hello')",
            "s.makefile('w').write('hello')",
            "s.sendall(b'')",
        )
        self.add(f"exits({call!r}, {end!r})")
