"""When a server says that it is ready, and what it says while its pages are away."""

from __future__ import annotations

import asyncio
import shutil
import socket
from pathlib import Path

from kring.api.serve import tell_ready
from kring.host.lifeline import Lifeline
from living import SOON_S, control_of, kill, until
from served import Server, serving


class Listening(Lifeline):
    """Notes when it is told that the start went well."""

    def __init__(self) -> None:
        self.told = 0

    def ready(self) -> None:
        self.told += 1


def test_nobody_says_ready_before_requests_can_come_in() -> None:
    async def start() -> None:
        lifeline = Listening()
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            telling = asyncio.create_task(tell_ready(lifeline, port=one.getsockname()[1]))
            await asyncio.sleep(0.05)
            assert (lifeline.told, telling.done()) == (0, False)
            one.listen()
            await asyncio.wait_for(telling, SOON_S)
        assert lifeline.told == 1

    asyncio.run(start())


def notes(server: Server) -> dict[str, str]:
    told = server.ask("GET", "/readyz", key="")
    assert (told.status, told.json["status"]) == (200, "ready")
    found = told.json["notes"]
    assert isinstance(found, dict)
    return found


def test_without_its_pages_a_server_is_ready_and_says_what_is_away(released: dict[str, Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(released["loans"], tmp_path / "loans"))
    row = {"email": "a@b.org", "region": "north", "amount": 1.0, "income": 2.0}
    with serving([folder]) as server:
        until(lambda: "control" not in notes(server), "pages and management", log=server.log)
        kill(control_of(server))
        until(lambda: "decisions go on" in notes(server).get("control", ""), "that they are away", log=server.log)
        assert server.ask("POST", "/api/decisions", {"inputs": row}).status == 200
        until(lambda: "control" not in notes(server), "pages and management again", log=server.log)
        until(lambda: server.ask("GET", "/", key="").status == 401, "pages that ask who it is", log=server.log)
