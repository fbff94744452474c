"""The attributes that only our sockets have, acceptcount and sendlimit: what they take, and what sendlimit
limits. What acceptcount does: test_ahead.py."""

import pytest

from support import DEADLINE, spawn


@pytest.mark.parametrize("name, value, error, legal", [
    ("acceptcount", -2, ValueError, r"-1 \(none\), 0 \(fitted to the traffic\) or an integer up to 256"),
    ("acceptcount", 257, ValueError, r"-1 \(none\), 0 \(fitted to the traffic\) or an integer up to 256"),
    ("acceptcount", "8", TypeError, "an integer up to 256"),
    ("acceptcount", None, TypeError, "an integer up to 256"),
    ("sendlimit", 4095, ValueError, "a number of bytes from 4096 to 16777216"),
    ("sendlimit", 16777217, ValueError, "a number of bytes from 4096 to 16777216"),
    ("sendlimit", 1e6, TypeError, "a number of bytes from 4096 to 16777216"),
])
def test_attributes_are_checked(ours, name, value, error, legal):
    with ours.socket() as sock:
        before = getattr(sock, name)
        with pytest.raises(error, match=f"^{name} must be .*{legal}.*, not {value!r}$"):
            setattr(sock, name, value)
        assert getattr(sock, name) == before


def test_sendlimit(ours):
    with ours.listener() as listener:
        listener.sendlimit = 4096
        client, server = ours.connect(listener)
        with client, server:
            # Accepted sockets have the listener's.
            assert (client.sendlimit, server.sendlimit) == (262144, 4096)
            client.sendlimit = 1 << 20
            for sender, receiver in ((client, server), (server, client)):
                sending = spawn(sender.sendall, bytes(500_000))
                received = 0
                while received < 500_000:
                    received += len(receiver.recv(65536))
                sending.result(DEADLINE)


def test_sendlimit_bounds_one_send(ours):
    with ours.pair() as (client, server):
        client.sendlimit = 4096
        assert client.send(bytes(10_000)) == 4096
