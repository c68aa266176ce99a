"""Real servers that take what is told, or don't."""

from __future__ import annotations

import datetime as dates
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

LIFE_S = 60.0


@dataclass
class Heard:
    """One request that was taken or not."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Target:
    """An HTTP server on loopback. `status` is what it answers; `mood` hangs, drips or floods instead."""

    port: int = 0
    status: int = 204
    mood: str = ""
    location: str = ""
    asked: list[Heard] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?a=b"

    @property
    def taken(self) -> list[Heard]:
        return self.asked if 200 <= self.status < 300 and not self.mood else []


@contextmanager
def http_target(context: ssl.SSLContext | None = None) -> Iterator[Target]:
    target = Target()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            names = {name.lower(): value for name, value in self.headers.items()}
            target.asked.append(Heard(self.path, names, self.rfile.read(length)))
            with suppress(OSError):
                self._answer()

        def _answer(self) -> None:
            if target.mood == "hangs":
                target.stopped.wait(LIFE_S)
                return
            if target.mood == "drips":
                for sign in b"HTTP/1.1 200 OK\r\nx-long: " + b"a" * 600:
                    self.wfile.write(bytes([sign]))
                    self.wfile.flush()
                    if target.stopped.wait(0.2):
                        return
            self.send_response(target.status)
            if target.location:
                self.send_header("location", target.location)
            if target.mood == "floods":
                self.send_header("content-length", str(1 << 30))
                self.end_headers()
                while not target.stopped.is_set():
                    self.wfile.write(b"x" * 65536)
                return
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    target.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield target
    finally:
        target.stopped.set()
        server.shutdown()
        server.server_close()
        thread.join(5)


@contextmanager
def silent_target(*, drip: bytes = b"") -> Iterator[int]:
    """The port of a server that takes connections and says nothing, or `drip` again and again, a sign at a time."""
    stopped = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.05)
    held: list[socket.socket] = []

    def run() -> None:
        last = time.monotonic()
        while not stopped.is_set():
            with suppress(TimeoutError):
                held.append(listener.accept()[0])
            if drip and time.monotonic() - last > 0.1:
                last = time.monotonic()
                for one in held:
                    with suppress(OSError):
                        one.sendall(drip)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        stopped.set()
        thread.join(5)
        for one in (listener, *held):
            one.close()


def certificate(folder: Path, name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A certificate for `name`, as the server's side of TLS and as that of a client who believes it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = dates.datetime.now(dates.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dates.timedelta(days=1))
        .not_valid_after(now + dates.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = made.public_bytes(serialization.Encoding.PEM)
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / "both.pem"
    path.write_bytes(secret + pem)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(path)
    client = ssl.create_default_context(cadata=pem.decode())
    return server, client
