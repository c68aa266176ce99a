"""Runs a supervisor over small processes, as a process of its own that can be killed.

python kept_supervisor.py PAGE '{"processes": [{"name": …, "modes": […], "seat": …}], "patience": {…}}'
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from kring.errors import KringError
from kring.flow.serving.keeping import Patience, Spec
from kring.flow.serving.supervise import Supervisor, end_survivors
from kring.host.page import new_page


def say(text: str) -> None:
    print(text, flush=True)


def main() -> None:
    place, asked = Path(sys.argv[1]), json.loads(sys.argv[2])
    end_survivors(place, say=say)
    page = new_page(place, workers=4)
    specs = [
        Spec(
            argv=[
                sys.executable,
                str(Path(__file__).with_name("kept_child.py")),
                str(place),
                str(-1 if one.get("seat") is None else one["seat"]),
                *one.pop("modes", []),
            ],
            env={"NAME": one["name"]},
            **one,
        )
        for one in asked["processes"]
    ]
    try:
        code = Supervisor(
            specs, page, monotonic=time.monotonic, say=say, patience=Patience(**asked.get("patience", {}))
        ).run()
    except KringError as error:
        say(f"error {error.exit_code}: {error.message} | {error.got} | {error.allowed} | {error.next}")
        code = error.exit_code
    sys.exit(code)


main()
