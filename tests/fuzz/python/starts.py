"""What a sequence begins with: a connected pair, plain or TLS, one socket, a listener, or something else."""

from values import PATIENT, SHORT


class Starts:
    """Fills in the sockets' names, who is whose peer, and who has no time-out."""

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
                self.timeout(name, self.chance.choice(SHORT))

    def start_tls(self):
        self.add("l := socket.create_server(('127.0.0.1', 0))")
        self.add("c := socket.create_connection(l.getsockname())")
        self.add("d, address := l.accept()")
        for name in "cd":
            if self.chance.random() < 0.5:
                self.add(f"{name}.settimeout({PATIENT})")
        options = self.pick("", "", "", ", suppress_ragged_eofs=False", ", do_handshake_on_connect=False")
        self.add(f"a, b := tls(c, d, ssl.TLSVersion.{self.pick('TLSv1_2', 'TLSv1_3')}{options})")
        self.names = ["a", "b", "c"] if self.chance.random() < 0.2 else ["a", "b"]
        self.peer = {"a": "b", "b": "a"}
        for name in "ab":
            self.forever[name] = True
            if self.chance.random() < 0.6:
                self.timeout(name, self.chance.choice(SHORT))

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
            self.timeout("s", self.chance.choice(SHORT))

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
        self.add(f"s.settimeout({SHORT[0]})")

    def start_listener(self):
        host, family = self.pick(("127.0.0.1", "socket.AF_INET"), ("::1", "socket.AF_INET6"))
        if self.chance.random() < 0.5:
            backlog = self.pick("", ", backlog=5", ", backlog=0", ", backlog=-1")
            self.add(f"l := socket.create_server(({host!r}, 0), family={family}{backlog})")
        else:
            self.add(f"l := socket.socket({family})")
            self.add(f"l.bind(({host!r}, 0))")
            self.add(f"l.listen({self.pick('', '5', '0', '-1', '2**31-1')})")
        self.add(f"a := socket.socket({family})")
        self.names = ["l", "a"]
        self.forever["l"] = self.forever["a"] = True
        if self.chance.random() < 0.9:
            self.timeout("l", self.chance.choice(SHORT))
