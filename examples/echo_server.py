"""echo_server.py [PORT]: send back whatever comes, a thread for each client. Ctrl-C ends it at once."""

import sys
import threading

import iocpsock


def echo(connection):
    with connection:
        while data := connection.recv(65536):
            connection.sendall(data)


with iocpsock.create_server(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 7007)) as listener:
    print(f"listening on port {listener.getsockname()[1]}", flush=True)
    while True:
        connection, peer = listener.accept()
        threading.Thread(target=echo, args=(connection,), daemon=True).start()
