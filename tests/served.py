"""A real `kring serve` in a process of its own, on loopback, with a bounded life; and plain HTTP to speak to it."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

READY_S: Final = 60.0
STOPPED_S: Final = 30.0
KEY: Final = re.compile(r"kring_dev_\w+")


@dataclass(frozen=True)
class Reply:
    """What the server answered."""

    status: int
    body: bytes
    headers: Mapping[str, str]

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def media(self) -> str:
        return self.headers.get("content-type", "")


@dataclass
class Server:
    """One that runs. `key` may do everything; `log` is what it wrote."""

    port: int
    grpc_port: int
    folders: tuple[Path, ...]
    process: subprocess.Popen[bytes]
    log: Path
    key: str = ""

    @property
    def bearer(self) -> dict[str, str]:
        """The key as a header; a dictionary of one's own, since some clients write into it."""
        return {"authorization": f"Bearer {self.key}"}

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        headers: Mapping[str, str] | None = None,
        key: str | None = None,
        seconds: float = 20.0,
    ) -> Reply:
        """One request on a connection of its own. A body that is not bytes is sent as JSON; `key` "" sends none."""
        sent = dict(headers or {})
        shown = self.key if key is None else key
        if shown:
            sent.setdefault("authorization", f"Bearer {shown}")
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        if body is not None:
            sent.setdefault("content-type", "application/json")
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=seconds)
        try:
            connection.request(method, path, body=body, headers=sent)
            answer = connection.getresponse()
            return Reply(answer.status, answer.read(), {name.lower(): value for name, value in answer.getheaders()})
        finally:
            connection.close()

    def raw(self, data: bytes, *, seconds: float = 20.0, address: str = "127.0.0.1") -> bytes:
        """Bytes as they are, from an address of this machine, and all that comes back until the server closes or is
        silent."""
        here = (address, 0)
        with socket.create_connection(("127.0.0.1", self.port), timeout=seconds, source_address=here) as connection:
            connection.sendall(data)
            got = b""
            with suppress(TimeoutError, ConnectionError):
                while part := connection.recv(65536):
                    got += part
            return got

    def stop(self) -> int:
        """End it in good order; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(STOPPED_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


def free_port() -> int:
    """A port that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(
    folders: Sequence[Path],
    *options: str,
    workers: int = 1,
    grpc: bool = False,
    environ: Mapping[str, str] | None = None,
    port: int | None = None,
) -> Server:
    """A server of the released systems in `folders`, ready to be asked. The caller stops it."""
    port, grpc_port = port or free_port(), free_port() if grpc else 0
    log = folders[0].parent / f"served-{port}.log"
    command = [sys.executable, "-m", "kring", "serve", *map(str, folders), "--port", str(port)]
    command += ["--workers", str(workers), *(["--grpc-port", str(grpc_port)] if grpc else []), *options]
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=subprocess.STDOUT, env={**os.environ, "NO_COLOR": "1", **(environ or {})}
        )
    server = Server(port, grpc_port, tuple(folders), process, log)
    try:
        wait_until_ready(server)
    except BaseException:
        server.stop()
        raise
    found = KEY.search(log.read_text())
    server.key = found[0] if found else ""
    return server


def typed(command: str, folder: Path, *, port: int, grpc_port: int) -> Server:
    """The server that a command line starts in `folder`, ready to be asked. The caller stops it."""
    log = folder / f"served-{port}.log"
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    quiet = {"PATH": path, "NO_COLOR": "1", "COLUMNS": "100", "TERM": "dumb"}
    with log.open("wb") as out:
        process = subprocess.Popen(
            ["bash", "-c", f"exec env {command}"],
            cwd=folder,
            stdout=out,
            stderr=subprocess.STDOUT,
            env=os.environ | quiet,
        )
    server = Server(port, grpc_port, (folder,), process, log)
    try:
        wait_until_ready(server)
    except BaseException:
        server.stop()
        raise
    found = KEY.search(log.read_text())
    server.key = found[0] if found else ""
    return server


def wait_until_ready(server: Server) -> None:
    """Poll until the server says that it may be asked, and its management side answers too."""
    end = time.monotonic() + READY_S
    while time.monotonic() < end:
        assert server.process.poll() is None, server.log.read_text()
        with suppress(OSError, http.client.HTTPException):
            told = server.ask("GET", "/readyz", seconds=2.0)
            if told.status == 200 and "control" not in told.json["notes"] and server.ask("GET", "/").status != 503:
                return
        time.sleep(0.05)
    raise AssertionError(f"not ready after {READY_S} s: {server.log.read_text()}")


def wait_until_managed(server: Server) -> None:
    """Poll until the management side answers too; it starts beside the workers, which wait for nobody."""
    end = time.monotonic() + READY_S
    while server.ask("GET", "/sign-in", key="").status != 200:
        assert time.monotonic() < end, server.log.read_text()
        time.sleep(0.1)


@contextmanager
def serving(folders: Sequence[Path], *options: str, **how: Any) -> Iterator[Server]:
    """A server that is ended, whatever happens."""
    server = start(folders, *options, **how)
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def serving_copy(folder: Path, into: Path, **how: Any) -> Iterator[Server]:
    """A server of a copy that may be edited and harmed, in which no fault of the code may come to light."""
    with serving([Path(shutil.copytree(folder, into / folder.name))], **how) as server:
        yield server
        assert "Traceback" not in server.log.read_text()
