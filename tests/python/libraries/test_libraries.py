"""Servers, clients and libraries of others on the event loop, used as their manuals say.

The matrix runs this folder in a Python that has the packages (tools/requirements/libraries.txt).
"""

import asyncio
import contextlib
import signal
import socket
import subprocess
import sys
import threading

import aiohttp
import aiohttp.web
import anyio
import httpx
import hypercorn.asyncio
import hypercorn.config
import pytest
import starlette.applications
import starlette.responses
import starlette.routing
import tornado.httpclient
import tornado.httpserver
import tornado.netutil
import tornado.web
import uvicorn
import websockets.asyncio.client
import websockets.asyncio.server
import zmq
import zmq.asyncio

import iocpsock
from loops import HOST

BODY = bytes(range(256)) * 512


@pytest.fixture
def port():
    """A port that nobody listens on, a moment ago."""
    with socket.create_server((HOST, 0)) as listener:
        return listener.getsockname()[1]


async def page(request):
    return starlette.responses.Response(BODY if request.url.path == "/large" else b"hello")


async def echo(request):
    return starlette.responses.Response(await request.body())


application = starlette.applications.Starlette(routes=[
    starlette.routing.Route("/echo", echo, methods=["POST"]), starlette.routing.Route("/{path}", page)])


async def fetch(base):
    """What a client is answered, on one connection and on several."""
    async with httpx.AsyncClient(base_url=base, trust_env=False) as client:
        assert (await client.get("/")).status_code == 404
        assert (await client.get("/small")).content == b"hello"
        answers = await asyncio.gather(*(client.get("/large") for _ in range(8)))
        assert all(answer.content == BODY for answer in answers)
        assert (await client.post("/echo", content=BODY)).content == BODY


@contextlib.asynccontextmanager
async def uvicorn_server(**options):
    server = uvicorn.Server(uvicorn.Config(application, host=HOST, port=0, log_level="warning", **options))
    serving = asyncio.ensure_future(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    await serving


@pytest.mark.parametrize("http", ["h11", "httptools"])
def test_uvicorn_and_httpx(aio, http):
    async def main():
        async with uvicorn_server(http=http) as port:
            await fetch(f"http://{HOST}:{port}")

    aio.run(main())


def test_uvicorn_names_its_loop(balance, port):
    """`uvicorn --loop iocpsock:new_event_loop`: the loop factory of its configuration."""
    loops = []

    async def application(scope, receive, send):
        if scope["type"] == "lifespan":
            loops.append(type(asyncio.get_running_loop()))
            server.should_exit = True

    server = uvicorn.Server(uvicorn.Config(application, host=HOST, port=port, log_level="warning",
                                           loop="iocpsock:new_event_loop"))
    server.run()
    assert loops == [iocpsock.EventLoop]


def test_hypercorn(aio, port):
    async def main():
        config, over = hypercorn.config.Config(), asyncio.Event()
        config.bind, config.errorlog = [f"{HOST}:{port}"], None
        serving = asyncio.ensure_future(
            hypercorn.asyncio.serve(application, config, shutdown_trigger=over.wait))
        while True:
            with contextlib.suppress(OSError):
                (await asyncio.open_connection(HOST, port))[1].close()
                break
            await asyncio.sleep(0.01)
        await fetch(f"http://{HOST}:{port}")
        over.set()
        await serving

    aio.run(main())


def test_aiohttp(aio):
    async def page(request):
        return aiohttp.web.Response(body=BODY)

    async def chat(request):
        channel = aiohttp.web.WebSocketResponse()
        await channel.prepare(request)
        async for message in channel:
            await channel.send_str(message.data.upper())
        return channel

    async def main():
        site = aiohttp.web.Application()
        site.add_routes([aiohttp.web.get("/", page), aiohttp.web.get("/chat", chat)])
        runner = aiohttp.web.AppRunner(site)
        await runner.setup()
        listening = aiohttp.web.TCPSite(runner, HOST, 0)
        await listening.start()
        base = f"http://{HOST}:{runner.addresses[0][1]}"
        async with aiohttp.ClientSession() as session:
            async def get():
                async with session.get(base + "/") as answer:
                    return await answer.read()

            assert await asyncio.gather(*(get() for _ in range(8))) == [BODY] * 8
            async with session.ws_connect(base + "/chat") as channel:
                for number in range(100):
                    await channel.send_str(f"hello {number}")
                    assert await channel.receive_str() == f"HELLO {number}"
        await runner.cleanup()

    aio.run(main())


def test_aiohttp_s_own_run(aio):
    """It ends by its handler for Ctrl-C, where the loop has signal handlers."""
    answers, visits = [], []

    async def visit():
        async with aiohttp.ClientSession() as session, session.get(f"http://{HOST}:{port}/") as answer:
            answers.append(await answer.read())
        signal.raise_signal(signal.SIGINT)

    async def start(site):
        visits.append(asyncio.ensure_future(visit()))

    async def page(request):
        return aiohttp.web.Response(body=BODY)

    with socket.create_server((HOST, 0)) as listener:
        port = listener.getsockname()[1]
        site = aiohttp.web.Application()
        site.on_startup.append(start)
        site.add_routes([aiohttp.web.get("/", page)])
        aiohttp.web.run_app(site, sock=listener, loop=aio.new(), print=None)
    assert answers == [BODY]


def test_websockets(aio):
    async def serve(channel):
        async for message in channel:
            await channel.send(message)

    async def main():
        async with websockets.asyncio.server.serve(serve, HOST, 0) as server:
            port = server.sockets[0].getsockname()[1]
            async with websockets.asyncio.client.connect(f"ws://{HOST}:{port}", proxy=None) as channel:
                for message in ["text", b"bytes", BODY]:
                    await channel.send(message)
                    assert await channel.recv() == message

    aio.run(main())


def test_tornado(aio):
    class Page(tornado.web.RequestHandler):
        def get(self):
            self.write(BODY)

    async def main():
        sockets = tornado.netutil.bind_sockets(0, HOST)
        server = tornado.httpserver.HTTPServer(tornado.web.Application([("/", Page)]))
        server.add_sockets(sockets)
        client = tornado.httpclient.AsyncHTTPClient(force_instance=True)
        url = f"http://{HOST}:{sockets[0].getsockname()[1]}/"
        answers = await asyncio.gather(*(client.fetch(url) for _ in range(10)))
        assert all(answer.body == BODY for answer in answers)
        client.close()
        server.stop()
        await server.close_all_connections()

    aio.run(main())


def test_pyzmq(aio):
    """It watches its own descriptor with add_reader."""
    async def main():
        with zmq.asyncio.Context() as context, context.socket(zmq.REP) as server:
            port = server.bind_to_random_port(f"tcp://{HOST}")
            with context.socket(zmq.REQ) as client:
                client.connect(f"tcp://{HOST}:{port}")
                for number in range(100):
                    await client.send(b"%d" % number)
                    assert await server.recv() == b"%d" % number
                    await server.send(BODY)
                    assert await client.recv() == BODY

    aio.run(main())


def test_anyio(aio):
    async def serve(stream):
        async with stream:
            async for data in stream:
                await stream.send(data)

    async def main():
        listener = await anyio.create_tcp_listener(local_host=HOST)
        async with listener, anyio.create_task_group() as group:
            group.start_soon(listener.serve, serve)
            port = listener.extra(anyio.abc.SocketAttribute.local_port)
            async with await anyio.connect_tcp(HOST, port) as stream:
                await stream.send(BODY)
                got = b""
                while len(got) < len(BODY):
                    got += await stream.receive()
                assert got == BODY
            assert await anyio.to_thread.run_sync(threading.get_ident) != threading.get_ident()
            group.cancel_scope.cancel()

    aio.run(main())


def test_anyio_s_own_run(balance):
    async def main():
        return type(asyncio.get_running_loop())

    assert anyio.run(main, backend_options={"loop_factory": iocpsock.new_event_loop}) is iocpsock.EventLoop


def test_pytest_asyncio(balance, tmp_path):
    """A conftest.py names the loop of all tests."""
    (tmp_path / "conftest.py").write_text("""
import iocpsock
def pytest_asyncio_loop_factories(config, item):
    return {"iocpsock": iocpsock.new_event_loop}
""")
    (tmp_path / "test_it.py").write_text("""
import asyncio, iocpsock, pytest
@pytest.mark.asyncio
async def test_it():
    assert type(asyncio.get_running_loop()) is iocpsock.EventLoop
""")
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p",
                           "pytest_asyncio", str(tmp_path)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "1 passed" in done.stdout, done.stdout + done.stderr
