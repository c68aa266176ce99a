"""In front of `kring serve` in a container whose platform passes no key on: adds the one that the container was given.

Kring listens on loopback, on a port of its own; the platform asks this program, which answers on the port that it
names. The key comes as the environment variable KRING_KEY, from a secret of the platform; it is best one of the role
`caller`.

    kring serve /model/shop --port 8001 &
    python front.py --port 8080 --kring 127.0.0.1:8001
"""

from __future__ import annotations

import argparse
import os
import threading
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MOST_BYTES = 8 << 20
PASSED = ("content-type", "accept", "idempotency-key", "x-amzn-sagemaker-custom-attributes")
"""Headers of a request that go on; those of its answer all do, but for the connection's own."""
OWN = ("connection", "keep-alive", "transfer-encoding", "content-length", "date", "server")
SECONDS = 30


class Front(BaseHTTPRequestHandler):
    """Passes a request on to `kring` (host:port) with the `key`."""

    kring = ""
    key = ""
    protocol_version = "HTTP/1.1"
    timeout = SECONDS

    def do_GET(self) -> None:
        self.pass_on(b"")

    def do_POST(self) -> None:
        length = self.headers.get("content-length", "")
        if length.isdecimal() and int(length) <= MOST_BYTES:
            self.pass_on(self.rfile.read(int(length)))
            return
        self.close_connection = True
        self.tell(413, b'{"error": "a body of up to 8 MB that says how long it is"}', [])

    def pass_on(self, body: bytes) -> None:
        sent = {name: self.headers[name] for name in PASSED if name in self.headers}
        inner = HTTPConnection(self.kring, timeout=SECONDS)
        try:
            inner.request(self.command, self.path, body, sent | {"authorization": f"Bearer {self.key}"})
            told = inner.getresponse()
            answer, headers = told.read(), told.getheaders()
        except (OSError, HTTPException):
            answer, headers, told = b'{"error": "the server does not answer yet"}', [("retry-after", "1")], None
        finally:
            inner.close()
        self.tell(503 if told is None else told.status, answer, headers)

    def tell(self, status: int, body: bytes, headers: list[tuple[str, str]]) -> None:
        self.send_response(status)
        for name, value in headers:
            if name.lower() not in OWN:
                self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Kring tells of requests."""


def serving(host: str, port: int, *, kring: str, key: str) -> ThreadingHTTPServer:
    """A server that answers in threads of its own until `shutdown` is called; port 0 is any free one."""
    server = ThreadingHTTPServer((host, port), type("Keyed", (Front,), {"kring": kring, "key": key}))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


if __name__ == "__main__":
    asked = argparse.ArgumentParser(description="Add a key to what a platform asks.")
    asked.add_argument("--host", default="0.0.0.0")
    asked.add_argument("--port", type=int, default=int(os.environ.get("AIP_HTTP_PORT", "8080")))
    asked.add_argument("--kring", default="127.0.0.1:8001")
    told = asked.parse_args()
    serving(told.host, told.port, kring=told.kring, key=os.environ["KRING_KEY"])
    threading.Event().wait()
