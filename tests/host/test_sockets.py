"""Sockets whose folders have names that no socket can have."""

from __future__ import annotations

import socket
from pathlib import Path

from kring.host.sockets import reachable


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
