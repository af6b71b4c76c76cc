"""Stars for a book: the same service as ratings.mjs, in Python. Knows nothing of a mesh."""

import json
import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Ratings(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Without this each answer waits for the client's delayed ACK: head and body are two writes.
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_GET(self):
        body = b"ok\n" if self.path == "/health" else json.dumps({"stars": [5, 4]}).encode()
        self.send_response(200)
        self.send_header("content-type", "text/plain" if self.path == "/health" else "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
Server(("127.0.0.1", int(os.environ.get("PORT", "9081"))), Ratings).serve_forever()
