"""What is cancelled on the event loop: no byte is lost."""

import asyncio
import socket

from loops import HOST, passes
from support import pattern, spawn


async def test_cancelled_reads_lose_no_byte(aio):
    """Each read is cancelled as soon as it waits, or as data are on their way."""
    data = pattern(300_000)

    def trickle(peer):
        for start in range(0, len(data), 1000):
            peer.sendall(data[start:start + 1000])
        peer.close()

    with socket.create_server((HOST, 0)) as listener:
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        peer, _ = listener.accept()
    sending = spawn(trickle, peer)
    received, patience = bytearray(), 0
    while True:
        patience = (patience + 1) % 4
        task = asyncio.ensure_future(reader.read(700))
        await passes(patience)
        if not task.cancel() or task.done():
            chunk = task.result()
        else:
            try:
                chunk = await task
            except asyncio.CancelledError:
                await asyncio.sleep(0)
                continue
        if not chunk:
            break
        received += chunk
    await asyncio.wrap_future(sending)
    writer.close()
    await writer.wait_closed()
    assert received == data


async def test_cancelled_receives_of_a_socket_lose_no_byte(aio):
    loop = asyncio.get_running_loop()
    data = pattern(50_000)
    with socket.create_server((HOST, 0)) as listener:
        sock = socket.create_connection(listener.getsockname())
        peer, _ = listener.accept()
    with sock, peer:
        sock.setblocking(False)
        for start in range(0, len(data), 1000):
            task = asyncio.ensure_future(loop.sock_recv(sock, 100))
            await passes()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            peer.sendall(data[start:start + 1000])
            received = bytearray()
            while len(received) < 1000:
                received += await loop.sock_recv(sock, 1000 - len(received))
            assert received == data[start:start + 1000]
