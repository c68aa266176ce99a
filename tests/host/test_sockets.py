"""Sockets whose folders have names that no socket can have; whether this process listens, or anybody elsewhere."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from kring.host.sockets import is_taken, listens, reachable

OTHER = """
import socket, sys
one = socket.socket()
one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
one.bind(("127.0.0.1", int(sys.argv[1])))
one.listen()
print("listening", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_a_process_listens_from_listen_to_close(family: socket.AddressFamily) -> None:
    with socket.socket(family) as one:
        one.bind(("127.0.0.1" if family == socket.AF_INET else "::1", 0))
        port = one.getsockname()[1]
        assert not listens(port)
        one.listen()
        assert listens(port)
        assert not listens(port + 1)
        with socket.create_connection(one.getsockname()[:2]) as caller:
            assert not listens(caller.getsockname()[1])
    assert not listens(port)


def test_that_another_process_listens_on_a_shared_port_does_not_count() -> None:
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
        with subprocess.Popen(
            [sys.executable, "-c", OTHER, str(port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as other:
            assert other.stdout is not None
            assert other.stdout.readline() == "listening\n"
            assert not listens(port)
            one.listen()
            assert listens(port)
            assert other.stdin is not None
            other.stdin.close()
            other.stdout.read()


def test_nobody_takes_connections_at_a_socket_that_was_left(tmp_path: Path) -> None:
    path = tmp_path / "s"
    assert not is_taken(path)
    one = socket.socket(socket.AF_UNIX)
    one.bind(str(path))
    assert not is_taken(path)
    one.listen(1)
    assert all(is_taken(path) for _ in range(5))  # more than it can take: it is there all the same
    one.close()
    assert path.exists()
    assert not is_taken(path)


def test_a_socket_far_down_is_bound_and_reached(tmp_path: Path):
    folder = tmp_path / ("a" * 120) / ("b" * 120)
    folder.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind(str(reachable(folder / "control.sock")))
        server.listen()
        client.connect(str(reachable(folder / "control.sock")))
        client.sendall(b"hello")
        with server.accept()[0] as accepted:
            assert accepted.recv(5) == b"hello"
    assert (folder / "control.sock").is_socket()


def test_a_short_name_stays(tmp_path: Path):
    assert reachable(Path("/run/x.sock")) == Path("/run/x.sock")
