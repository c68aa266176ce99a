"""A `kring.toml` that holds only what people said, until there are data."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping

from kring.frame.questions import STAGES, Answers

TABLES = {"system", "people", "frame"}


def answers_in(data: bytes) -> Answers | None:
    """The answers of an unfinished file; None for a file that is finished, or is something else."""
    try:
        file = tomllib.loads(data.decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError):
        return None
    system, people, frame = (_table(file, name) for name in ("system", "people", "frame"))
    left = frame.get("open")
    if set(file) - TABLES or not isinstance(left, list) or "data" not in left:
        return None
    texts = {key: _text(system, key) for key in ("goal", "owner", "human_oversight") if key not in left}
    texts |= {key: _text(frame, key) for key in ("decision", "good_enough", "feedback") if key not in left}
    affects = system.get("affects")
    texts["affects"] = ", ".join(map(str, affects)) if isinstance(affects, list) else ""
    texts |= {f"people.{stage}": _text(_table(people, stage), "accountable") for stage in STAGES}
    default = frame.get("default")
    return Answers(
        texts={key: text for key, text in texts.items() if text},
        default=default if isinstance(default, bool | int | float | str) else None,
    )


def _table(table: Mapping[str, object], name: str) -> Mapping[str, object]:
    found = table.get(name)
    return found if isinstance(found, dict) else {}


def _text(table: Mapping[str, object], name: str) -> str:
    found = table.get(name)
    return found if isinstance(found, str) else ""
