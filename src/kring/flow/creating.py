"""A file of data → a system that runs: looked at, proposed, written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from kring.errors import DataError, KringError, NotFound, Unavailable, UserError
from kring.flow import adapters
from kring.flow.project import silent
from kring.frame.aim import require_column
from kring.frame.contract_text import contract_text
from kring.frame.inspect import look
from kring.frame.propose import Proposal, propose, system_name
from kring.frame.questions import Answers, fitted, still_open
from kring.frame.system_text import Place, open_questions, system_text, unfinished_text
from kring.frame.unfinished import answers_in
from kring.ports.files import Files
from kring.record.contract import Scalar
from kring.record.version import Output
from kring.sources import file as source

SYSTEM: Final = "kring.toml"
CONTRACT: Final = "contract.odcs.yaml"

Interview = Callable[[Answers, Output | None, tuple[Scalar, ...]], Answers]
"""From what is known, the kind of answer and its labels, to what people said."""


@dataclass(frozen=True, slots=True)
class Created:
    """What was written, and what was made of each column. Without data, `task` and columns are empty."""

    folder: Path
    files: tuple[Path, ...]
    task: str
    why: str
    split: str
    inputs: tuple[str, ...]
    left_out: dict[str, str]
    protected: tuple[str, ...]
    open: dict[str, str]


def create(
    folder: Path,
    *,
    data: Path | None,
    target: str,
    files: Files,
    interview: Interview | None = None,
    say: Callable[[str], None] = silent,
) -> Created:
    """Write `kring.toml` and, with `data`, the contract for it into `folder`, which is new, empty, or holds
    the data or the answers of an interview and nothing else. `UserError` for anything else, and for
    data that can't carry a system."""
    fresh, answers = not folder.exists(), _room(folder, data, files)
    name = system_name(folder.resolve().name)
    if data is None:
        answers = interview(answers, None, ()) if interview else answers
        _write(folder, {SYSTEM: unfinished_text(name, answers)}, files, fresh=fresh)
        return _unfinished(folder, answers)
    say(f"look    {data}")
    proposal = _proposal(data, target)
    labels = proposal.aim.labels
    task = adapters.task_giving(proposal.aim.output)
    answers = fitted(answers, output=proposal.aim.output, labels=labels)
    if interview:
        answers = interview(answers, proposal.aim.output, labels)
    place = Place(
        name=name,
        source=_reference(folder, data),
        shown=data.name,
        task=task,
        metrics=tuple(adapters.task_named(task).metrics),
    )
    texts = {
        CONTRACT: contract_text(proposal, name=name, source=data.name, owner=answers.get("owner")),
        SYSTEM: system_text(proposal, place, answers),
    }
    if not fresh:
        _room(folder, data, files)
    _write(folder, texts, files, fresh=fresh)
    return _created(folder, proposal, task, answers)


def _proposal(data: Path, target: str) -> Proposal:
    if not data.exists() and not set("*?[") & set(data.name):
        raise NotFound("there is no such file", got=str(data), next="check the path after --from", file=str(data))
    feed = source.scan(data)
    require_column(feed.collect_schema().names(), target)
    try:
        return propose(look(feed, target=target), target)
    except pl.exceptions.PolarsError as error:
        raise DataError(
            f"{data.name} can't be read", got=str(error).splitlines()[0][:200], next="check the file", file=str(data)
        ) from error


def _room(folder: Path, data: Path | None, files: Files) -> Answers:
    """The answers that lie in `folder` already. `UserError` when it holds anything but them and the data."""
    if folder.exists() and not folder.is_dir():
        raise UserError("this is no folder", got=str(folder), next="name a folder for the new system")
    there = [path.name for path in files.list(folder)]
    others = [name for name in there if not name.startswith(".") or name == ".kring"]
    others = [name for name in others if data is None or name != _first_part(folder, data)]
    if others == [SYSTEM]:
        found = answers_in(files.read(folder / SYSTEM))
        if found is not None:
            return found
    if others:
        raise UserError(
            "the folder holds files already; nothing was written",
            got=", ".join(others[:5]) + (" …" if len(others) > 5 else ""),
            allowed="a folder that is new, empty, or holds the data alone",
            next="name another folder" if SYSTEM not in others else "name another folder, or change kring.toml there",
            file=str(folder),
        )
    return Answers()


def _first_part(folder: Path, data: Path) -> str:
    """The name in `folder` under which the data lie; empty when they lie elsewhere."""
    try:
        return _place(data).relative_to(folder.resolve()).parts[0]
    except (ValueError, IndexError):
        return ""


def _place(data: Path) -> Path:
    """Where the data lie, a link in the last part of the path kept."""
    return data.parent.resolve() / data.name if data.name else data.resolve()


def _reference(folder: Path, data: Path) -> str:
    """The path of the data from `folder`; the whole path when they have nothing in common."""
    base, place = folder.resolve(), _place(data)
    common = Path(os.path.commonpath([base, place]))
    return str(place) if common == Path(common.anchor) else os.path.relpath(place, base)


def _write(folder: Path, texts: dict[str, str], files: Files, *, fresh: bool) -> None:
    """All files or none: beside and by one rename where the folder was new, else `kring.toml` last. `Busy` while
    another process begins a system of this name here, `Conflict` when one has done so meanwhile."""
    if fresh:
        _publish(folder, texts, files)
        return
    written: list[Path] = []
    try:
        for name, text in texts.items():
            files.write(folder / name, text.encode())
            written.append(folder / name)
    except (KringError, KeyboardInterrupt):
        _removed(written, files)
        raise


def _publish(folder: Path, texts: dict[str, str], files: Files) -> None:
    place = folder.parent / f".{folder.name}.part"
    system = files.append(place / SYSTEM)
    try:
        if system.size():
            files.truncate(place / SYSTEM, 0)
        for name, text in texts.items():
            if name != SYSTEM:
                files.write(place / name, text.encode())
        system.write(texts[SYSTEM].encode())
        system.sync()
        files.publish(place, folder)
    except (KringError, KeyboardInterrupt):
        _removed([place], files)
        raise
    finally:
        system.close()


def _removed(paths: list[Path], files: Files) -> None:
    for path in paths:
        with suppress(Unavailable, NotFound):
            files.remove(path)


def _unfinished(folder: Path, answers: Answers) -> Created:
    left = {"data": "Which data, and which column of them is to be foretold?"}
    left |= dict(still_open(answers, output=None))
    return Created(
        folder=folder,
        files=(folder / SYSTEM,),
        task="",
        why="",
        split="",
        inputs=(),
        left_out={},
        protected=(),
        open=left,
    )


def _created(folder: Path, proposal: Proposal, task: str, answers: Answers) -> Created:
    used = dict.fromkeys(one.column for one in proposal.prepared)
    return Created(
        folder=folder,
        files=(folder / SYSTEM, folder / CONTRACT),
        task=task,
        why=proposal.aim.why,
        split=proposal.split.why,
        inputs=tuple(used),
        left_out={name: use.left_out for name, use in proposal.uses.items() if name not in used},
        protected=proposal.protected,
        open=dict(open_questions(proposal, answers)),
    )
