"""The same history under other settings, side by side."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from kring.charts.page import html
from kring.errors import UserError
from kring.flow import adapters
from kring.flow.project import Project, open_project
from kring.flow.replaying.beside import page_of
from kring.flow.replaying.home import replay_in
from kring.record.decision import Decisions
from kring.record.replay import Comparison, Exposure, Side

AS_IT_IS: Final = "as it is"
FREE: Final = frozenset(
    {"rollout", "watch", "learn", "guard", "policy", "gate", "candidate", "prepare", "lookup", "evidence", "frame"}
)
"""What another file may set otherwise: everything but which decisions there are and what became of them."""

MOST: Final = 8


class Compared(NamedTuple):
    """What each side did, and the page about it."""

    comparison: Comparison
    report: Path


def compare_replays(
    project: Project, files: Sequence[Path], *, home: Path | None, start: int, end: int, seed: int
) -> Compared:
    """Replay as the system stands and once for each of `files`, every one in a home of its own below `home`.

    A file is a whole `kring.toml` in the system's folder. `UserError` for one that lies elsewhere, is named twice, asks
    about another history, or changes nothing.
    """
    others = [_opened(project, file, files) for file in files]
    id = project.new_id("p")
    folder = home or project.home.root / "replays" / id
    sides = []
    for number, (name, other) in enumerate([(AS_IT_IS, project), *others]):
        project.say(f"replay  {name}")
        there, replay, _ = replay_in(other, home=folder / f"{number}", start=start, end=end, seed=seed)
        changed = dict(differences(Path(project.system.file), Path(other.system.file)))
        sides.append(Side(name=name, replay=replay, exposures=exposures(there), changed=changed))
    comparison = Comparison(id=id, system=project.system.name, start=start, end=end, seed=seed, sides=tuple(sides))
    report = folder / "comparison.html"
    project.files.write(report, html(page_of(project.system, comparison)).encode())
    return Compared(comparison, report.absolute())


def differences(one: Path, other: Path) -> Iterator[tuple[str, str]]:
    """Each key that `other` writes otherwise than `one`, both files without faults, and its value there as JSON."""
    mine, theirs = (_flat("", tomllib.loads(file.read_text(encoding="utf-8-sig"))) for file in (one, other))
    for key in sorted(mine.keys() | theirs.keys()):
        if mine.get(key) != theirs.get(key):
            yield key, msgspec.json.encode(theirs[key]).decode() if key in theirs else "left out"


def exposures(project: Project) -> tuple[Exposure, ...]:
    """Who was asked how often in the replay of `project`, by version and arm."""
    asked: Counter[tuple[str, str]] = Counter()
    for logged in adapters.read_log(project.home.log, system=project.system.name).read():
        if isinstance(logged.record, Decisions) and logged.record.arm != "shadow":
            asked[logged.record.version, logged.record.arm] += logged.record.n
    return tuple(
        msgspec.convert({"version": version, "arm": arm, "decisions": n}, Exposure)
        for (version, arm), n in asked.items()
    )


def _opened(project: Project, file: Path, files: Sequence[Path]) -> tuple[str, Project]:
    """The system as `file` describes it."""
    if file.resolve().parent != project.folder.resolve():
        raise UserError(
            "the settings to compare with lie in the system's folder, for what they name lies there",
            got=str(file),
            allowed=f"a copy of kring.toml in {project.folder}",
            next=f"cp {project.folder / 'kring.toml'} {project.folder / 'other.toml'}, and change it there",
        )
    if len(files) > MOST or [one.resolve() for one in files].count(file.resolve()) > 1:
        raise UserError(
            f"a comparison is between different settings, {MOST} at the most",
            got=", ".join(one.name for one in files),
            next="name each file once",
        )
    other = open_project(file, say=project.say, files=project.files)
    changed = dict(differences(Path(project.system.file), Path(other.system.file)))
    fixed = sorted(key for key in changed if key.split(".")[0] not in FREE)
    if fixed or not changed:
        raise UserError(
            f"{file.name} asks about another history" if fixed else f"{file.name} changes nothing",
            got=", ".join(fixed) or "the same settings",
            allowed=f"other values of {', '.join(sorted(FREE))}",
            file=str(file),
        )
    return file.stem, other.at(home=project.home.root, clock=project.clock, random=project.random, actor=project.actor)


def _flat(prefix: str, value: object) -> dict[str, object]:
    """Tables within tables as one table with keys that have dots."""
    if not isinstance(value, dict) or not value:
        return {prefix: value}
    flat: dict[str, object] = {}
    for name, part in value.items():
        flat |= _flat(f"{prefix}.{name}" if prefix else str(name), part)
    return flat
