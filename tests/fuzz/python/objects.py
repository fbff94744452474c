"""Operations on a socket as an object, as a file, with a file and with TLS; arguments that no call takes."""

from values import FILE_CALLS, MODES


class Objects:
    """Each adds one step or a few to the sequence, for the socket of that name."""

    def op_thing(self, s):
        """What one may do with any object."""
        self.add(
            self.pick(
                f"pickle.dumps({s})",
                f"copy.copy({s})",
                f"copy.deepcopy({s})",
                f"hash({s}) == hash({s})",
                f"{s} == {s}",
                f"{s} != {s}",
                f"{s} == 1",
                f"{s} < {s}",
                f"bool({s})",
                f"len({s})",
                f"{{{s}: 1}}[{s}]",
                f"weakref.ref({s})() is {s}",
                f"setattr({s}, 'x', 1)",
                f"{s}.nothing",
                f"{s}.__class__.__name__",
                f"isinstance({s}, socket.socket)",
                f"{s}.family.name",
                f"{s}.type",
                f"{s}.proto",
                f"type({s}.family)",
                f"type({s}.type)",
                f"setattr({s}, 'timeout', 1)",
                f"setattr({s}, 'family', 1)",
                f"delattr({s}, 'timeout')",
                f"str({s})",
                f"format({s})",
                f"({s}.__enter__() is {s})",
                f"{s}.recvmsg",
                f"{s}.sendmsg",
                f"{s}.sendmsg_afalg",
                f"iter({s})",
                "socket.timeout is TimeoutError",
                f"{s}.__init__()",
                f"{s}.recv.__name__",
                f"{s}.sendall.__name__",
                f"callable({s}.recv)",
                f"{s}.__reduce__()",
                f"{s}.__getstate__()",
                f"sorted(n for n in dir({s}) if n[0] != '_' and n not in ('acceptcount', 'sendlimit'))",
                f"{s}.__sizeof__() > 0",
                "socket.has_dualstack_ipv6()",
                f"delattr({s}, '_closed')",
            )
        )

    def op_call(self, s):
        """Arguments that no call takes."""
        method = self.pick(
            "recv",
            "recv_into",
            "recvfrom",
            "recvfrom_into",
            "send",
            "sendall",
            "sendfile",
            "accept",
            "connect",
            "connect_ex",
            "settimeout",
            "setblocking",
            "shutdown",
            "close",
            "detach",
            "dup",
            "share",
            "fileno",
            "bind",
            "listen",
            "getsockname",
            "makefile",
            "sendto",
            "gettimeout",
            "getblocking",
            "_accept",
            "ioctl",
            "set_inheritable",
            "getsockopt",
        )
        if method in ("accept", "_accept"):
            arguments = self.pick("1", "x=1")
        elif method in ("close", "detach", "dup", "fileno"):
            arguments = self.pick("1", "None", "x=1", "1, 2")
        else:
            arguments = self.pick(
                "",
                "None, None, None, None",
                "bufsize=1",
                "buffer=bytearray(3)",
                "b'x', flags=0",
                "b'x', 0, 0",
                "x=1",
                "1, 2, 3",
                "data=b'x'",
                "*[]",
                "object()",
                "bytearray(2), nbytes=1, flags=0",
                "bytearray(2), 1, 0, 0",
                "value=None",
                "flag=True",
                "address=('127.0.0.1', 1)",
                "b'x', ('127.0.0.1', 1)",
                "file=io.BytesIO(b'x')",
                "io.BytesIO(b'x'), count=1",
                "process_id=1",
                "mode='rb'",
                "how=1",
            )
        self.add(f"{s}.{method}({arguments})")

    def op_file(self, s):
        mode = self.some(["'rb'", "'r'", "'rwb'", "'wb'", "'rb', 0", "'rwb', 0"], MODES)
        if self.chance.random() < 0.4 or not any(line.startswith("f := ") for line in self.steps):
            self.add(f"f := {s}.makefile({mode})")
            self.file_of = s
        owner = getattr(self, "file_of", s)
        self.not_forever(owner)
        if owner in self.peer and self.chance.random() < 0.7:
            self.add(f"{self.peer[owner]}.sendall(b'line one\\nline two\\nrest')")
        for _ in range(self.chance.randrange(1, 4)):
            self.add("f." + self.chance.choice(FILE_CALLS))
        if owner in self.peer and self.chance.random() < 0.2:
            self.add(f"{self.peer[owner]}.shutdown(socket.SHUT_WR)")
            self.add("f." + self.pick("read()", "readlines()", "readall()"))

    def op_sendfile(self, s):
        source = self.some(
            [
                "make_file(300)",
                "make_file(0)",
                "make_file(9000)",
                "io.BytesIO(letters(300))",
                "make_file(300, 'r+b')",
            ],
            [
                "make_file(300, 'r')",
                "io.StringIO('text')",
                "None",
                "b'bytes'",
                "io.BytesIO()",
                "make_file(300, 'ab')",
                "make_file(70000)",
                "open(make_file(300).name, 'rb', 0)",
                "io.BufferedReader(io.BytesIO(letters(50)))",
                "3",
            ],
        )
        offset = self.some(
            ["", "", ", 0", ", 5", ", 299", ", 300", ", 1000"],
            [", -1", ", None", ", '1'", ", 1.0", ", 2**40", ", 2**70", ", True", ", False"],
            0.8,
        )
        count = (
            self.some(
                ["", "", ", 1", ", 10", ", 1000"],
                [", 0", ", -1", ", None", ", 1.5", ", '1'", ", 2**40", ", 2**70", ", True"],
                0.8,
            )
            if offset
            else ""
        )
        self.add(f"g := {source}")
        if self.chance.random() < 0.3:
            self.add("g." + self.pick("read(5)", "seek(10)", "close()", "readline()", "seek(0, 2)"))
        self.add(f"sendfile({s}, g{offset}{count})")
        if s in self.peer:
            self.pending[self.peer[s]] = self.pending.get(self.peer[s], 0) + 5

    def op_tls(self, s):
        self.add(
            self.pick(
                f"{s}.version()",
                f"{s}.cipher()",
                f"{s}.pending()",
                f"{s}.selected_alpn_protocol()",
                f"{s}.getpeercert() is not None",
                f"{s}.getpeercert(True) is not None",
                f"{s}.shared_ciphers() is not None",
                f"{s}.compression()",
                f"{s}.session_reused",
                f"{s}.session is not None",
                f"{s}.server_side",
                f"{s}.server_hostname",
                f"type({s}.context)",
                f"{s}.get_channel_binding() is not None",
                f"{s}.get_channel_binding('nothing')",
                f"{s}.read(5)",
                f"{s}.read()",
                f"{s}.write(b'x')",
                f"{s}.write(b'')",
                f"{s}.read(0)",
                f"{s}.read(-1)",
                f"{s}.read(3, bytearray(5))",
                f"{s}.read(5, bytearray(3))",
                f"{s}.read(None, bytearray(3))",
                f"{s}.write('x')",
                f"{s}.write(memoryview(b'abcdef')[::2])",
                f"{s}.do_handshake()",
                f"{s}.do_handshake(True)",
                f"u := {s}.unwrap()",
                f"{s}.recv(5, 1)",
                f"{s}.send(b'x', 1)",
                f"{s}.sendall(b'x', 1)",
                f"{s}.recvfrom(5)",
                f"{s}.sendto(b'x', ('127.0.0.1', 1))",
                f"{s}.dup()",
                f"{s}.verify_client_post_handshake()",
                f"setattr({s}, 'context', None)",
                f"setattr({s}, 'session', None)",
                f"{s}.accept()",
                f"{s}.connect(('127.0.0.1', 1))",
                f"{s}.connect_ex(('127.0.0.1', 1))",
                f"{s}._sslobj is None",
                f"{s}.recv_into(bytearray(0))",
                f"{s}.recv_into(None)",
                f"{s}._checkClosed()",
                f"{s}._connected",
                f"{s}.selected_npn_protocol()",
                f"filled({s}.recv_into, bytearray(4), 9)",
                f"{s}.recvmsg(1)",
                "c.getpeername()",
                f"{s}.get_verified_chain()",
                f"{s}.get_unverified_chain()",
                f"ssl.create_default_context().wrap_socket({s}, server_hostname='x')",
            )
        )
