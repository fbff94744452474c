"""tk_http.py [PORT]: a Tk window that serves HTTP and counts its visitors, in one thread."""

import asyncio
import sys
import tkinter

import iocpsock

window = tkinter.Tk()
visitors = tkinter.IntVar()
tkinter.Label(window, textvariable=visitors, font=("", 40), padx=80, pady=20).pack()


async def answer(reader, writer):
    await reader.readuntil(b"\r\n\r\n")
    visitors.set(visitors.get() + 1)
    page = f"You are visitor {visitors.get()}.\n".encode()
    writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(page), page))
    writer.close()


async def main(port):
    server = await asyncio.start_server(answer, "127.0.0.1", port)
    print(f"listening on port {server.sockets[0].getsockname()[1]}", flush=True)
    window.protocol("WM_DELETE_WINDOW", server.close)
    await server.wait_closed()


iocpsock.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 8080), tk=window)
