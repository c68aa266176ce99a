"""The render process: draws what pages ask for, one chart after the other, and nothing else.

python -m kring.flow.serving.render PLAN
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from kring.charts.render import svg
from kring.flow.serving import meeting as meetings
from kring.flow.serving.drawings import Drawings
from kring.flow.serving.meeting import Meeting
from kring.host.files import LocalFiles
from kring.host.lifeline import hold

POLL_S: Final = 0.1


def draw_all(drawings: Drawings) -> int:
    """Draw all that was asked for; returns how many. A spec that can't be drawn is said to be so."""
    names = drawings.asked()
    for name in names:
        try:
            drawn = svg(drawings.spec(name), prefix=f"c{name[:12]}x")
        except Exception as error:  # noqa: BLE001  the renderer raises what it likes; the others are drawn all the same
            print(f"a chart can't be drawn: {error}", file=sys.stderr, flush=True)
            drawn = ""
        drawings.put(name, drawn)
    return len(names)


def main(arguments: Sequence[str]) -> None:
    """Draw until SIGTERM or SIGINT, or until the supervisor is gone."""
    lifeline = hold()
    files = LocalFiles()
    plan = meetings.read_plan(files, Path(arguments[0]))
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    drawings = Drawings(Meeting(Path(plan.state)).drawings, files=files)
    lifeline.ready()
    while not stopped.wait(POLL_S):
        draw_all(drawings)


if __name__ == "__main__":
    main(sys.argv[1:])
