"""patched_http.py [PORT]: the standard library's web server of this folder, on iocpsock's sockets."""

import sys
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import iocpsock

iocpsock.patch()
with ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 8080),
                         SimpleHTTPRequestHandler) as server:
    print(f"listening on port {server.server_address[1]}, {type(server.socket).__module__}", flush=True)
    server.serve_forever()
