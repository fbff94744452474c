"""echo_asyncio.py [PORT]: send back whatever comes, on an asyncio loop. Ctrl-C ends it at once."""

import asyncio
import sys

import iocpsock


class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)

    def pause_writing(self):                # the client does not read: take no more from it
        self.transport.pause_reading()

    def resume_writing(self):
        self.transport.resume_reading()


async def main(port):
    server = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", port)
    print(f"listening on port {server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


iocpsock.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 7007))
