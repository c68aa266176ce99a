"""A small process that a supervisor keeps: it sits on the page and does what it is told.

python kept_child.py PAGE SEAT MODE…

Every start is a line in the file `started` beside the page, every end by SIGTERM one in `ended`.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

from kring.errors import ConfigError
from kring.host.lifeline import hold
from kring.host.page import open_page
from kring.host.vitals import Usage, start_of
from kring.serve.deadline import Watchdog


def note(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(f"{text}\n")


def main() -> None:
    place, seat_number, modes = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    name = os.environ["NAME"]
    line = hold()
    note(place.with_name("started"), f"{name} {os.getpid()}")
    if "misconfigured" in modes:
        line.failed(ConfigError("the port is not a number", got="http", allowed="1 to 65535", next="mend it"))
        sys.exit(2)
    if "crashes" in modes:
        sys.exit(7)
    if "fails in turn" in modes:
        line.failed(ConfigError(f"failure of {os.getpid()}"))
        sys.exit(2)
    if "grandchild" in modes:
        grandchild = subprocess.Popen(["sleep", "600"])
        note(place.with_name("started"), f"grandchild {grandchild.pid}")
    serve(place, seat_number, modes, name=name, ready=line.ready)


def serve(place: Path, seat_number: int, modes: list[str], *, name: str, ready: object) -> None:
    page = open_page(place, writer=True)
    over: list[bool] = []

    def end(number: int, frame: FrameType | None) -> None:
        note(place.with_name("ended"), f"{name} draining={page.draining} {time.monotonic()}")
        over.append(True)

    signal.signal(signal.SIGTERM, signal.SIG_IGN if "stubborn" in modes else end)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    usage, began = Usage(), time.monotonic()
    seat = page.seats[seat_number] if seat_number >= 0 else None
    if seat is not None:
        seat.claim(os.getpid(), start=start_of(os.getpid()))
    if "never ready" not in modes:
        assert callable(ready)
        ready()
    if "overruns" in modes and seat is not None:
        seat.work(time.monotonic(), time.monotonic() + 0.1)
    if "holds the lock" in modes and seat is not None:
        watchdog = Watchdog(time.monotonic, publish=seat.work)
        with watchdog.within(0.1, stop=lambda: note(place.with_name("ended"), "stopped")):
            re.match("(a+)+$", "a" * 64 + "b")
    while not over:
        busy = "busy" in modes and not (page.draining and time.monotonic() - began > 2.0)
        if seat is not None and "silent" not in modes:
            seat.beat(time.monotonic(), rss=usage.rss(), in_flight=int(busy), ready=True)
        time.sleep(0.02)


main()
