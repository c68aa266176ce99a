"""A folder that is a system of its own: the newest snapshot as its feed, what went wrong live as tests."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kring.charts.words import moment
from kring.errors import Unavailable
from kring.flow.briefing.live_rows import LiveRows, some
from kring.flow.project import Project
from kring.flow.snapshots import encoded, write_out
from kring.frame.quoting import quote, scalar
from kring.metrics.ids import decision_id
from kring.record.brief import Brief, Disagreement
from kring.record.decision import Value
from kring.record.snapshot import Snapshot
from kring.record.version import Policy

FEED: Final = "snapshot.parquet"
ROWS: Final = "live.parquet"
TESTS: Final = "behaviours.toml"
PAGE: Final = "brief.md"
MOST_TESTS: Final = 20
WITHIN: Final = 0.1
"""A value ought to lie so close to what turned out to be true, as a share of it."""

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Material(NamedTuple):
    """The newest snapshot, the live rows, how wrong each of them was (n,), and who disagreed."""

    snapshot: Snapshot
    rows: LiveRows
    losses: NDArray[np.float64]
    others: tuple[Disagreement, ...]

    def failing(self, project: Project, policy: Policy) -> list[int]:
        """The rows that were answered wrongly, the worst first."""
        known = np.flatnonzero(np.isfinite(self.losses))
        if not len(known) or not (policy.labels or project.task.output == "value"):
            return []
        order = known[np.argsort(-self.losses[known], kind="stable")]
        said = self.rows.outputs.get("decision", [None] * self.rows.n)
        wrong = [
            row
            for row in order.tolist()
            if not policy.labels or _label(self.rows, row, project, policy) != str(said[row])
        ]
        return wrong[:MOST_TESTS]


def write_folder(project: Project, policy: Policy, material: Material, found: Brief, *, out: Path) -> None:
    """Copy the system's files, with the snapshot as its feed and the failing rows as tests of behaviour."""
    source = project.folder / project.system.data.source
    try:
        shutil.copytree(project.folder, out, ignore=_without(source))
    except (OSError, shutil.Error) as error:
        raise Unavailable("the system could not be copied", got=str(error)[:300], file=str(out)) from error
    write_out(project, material.snapshot.id, path=out / FEED)
    project.files.write(out / ROWS, encoded(_frame(project, material), ".parquet"))
    tests = tests_of(project, policy, material)
    named = project.system.evidence.behaviours or TESTS
    if tests:
        before = (out / named).read_text(encoding="utf-8") if (out / named).exists() else ""
        project.files.write(out / named, (before + tests).encode())
    config = out / "kring.toml"
    text = with_source(config.read_text(encoding="utf-8"))
    if tests and not project.system.evidence.behaviours:
        text = with_tests(text)
    project.files.write(config, text.encode())
    project.files.write(out / PAGE, page_of(found).encode())


def with_source(text: str) -> str:
    """`kring.toml` with the snapshot as its feed."""
    table = re.search(r"(?m)^\[data\]\s*$", text)
    if table is None:
        return text
    head, rest = text[: table.end()], text[table.end() :]
    return head + re.sub(r"(?m)^source\s*=.*$", f'source = "{FEED}"', rest, count=1)


def with_tests(text: str) -> str:
    """`kring.toml` with the tests of behaviour among its evidence."""
    line = f'behaviours = "{TESTS}"\n'
    table = re.search(r"(?m)^\[evidence\][^\n]*\n", text)
    if table is None:
        return f"{text.rstrip()}\n\n[evidence]\n{line}"
    return text[: table.end()] + line + text[table.end() :]


def tests_of(project: Project, policy: Policy, material: Material) -> str:
    """Rows that live got wrong as examples with the answer that would have been right."""
    parts = []
    for row in material.failing(project, policy):
        inputs = {name: column[row] for name, column in material.rows.inputs.items() if column[row] is not None}
        written = ", ".join(f"{quote(name)} = {_toml(project, name, value)}" for name, value in inputs.items())
        id = decision_id(material.rows.ids[row])
        parts.append(
            f'\n[[example]]\nname = "live got {id} wrong"\ninputs = {{ {written} }}\n'
            + _right(project, policy, material.rows, row)
        )
    return "".join(parts)


def page_of(found: Brief) -> str:
    """The brief as a page."""
    lines = [
        f"# {found.system}: what live says to the next version",
        "",
        f"Version {found.version} from {moment(found.start)} to {moment(found.end)}: {found.decisions:,} decisions,",
        f"{found.outcomes:,} with a known outcome. The feed here is snapshot {found.snapshot}; {ROWS} holds the live",
        "rows. `kring go` in this folder is the next experiment.",
        "",
        "## Where it is worse",
        *[
            f"- {each.name}: mean loss {each.loss:.4g} over {each.rows:,} rows, {each.others:.4g} elsewhere (chance of "
            f"luck {each.chance:.2g})"
            for each in found.weak
        ],
        *([] if found.weak else ["Nowhere beyond chance, or too few outcomes are known."]),
        "",
        "## Open alarms",
        *[f"- {each.kind} since {moment(each.since)}: {each.what}" for each in found.alarms],
        *([] if found.alarms else ["None."]),
        "",
        "## Who disagrees",
        f"{found.compared:,} answers of others to the same rows.",
        *[f"- {each.decision}: {each.live} here, {each.other} by {each.version}" for each in found.disagreements],
        "",
        "## Tests",
        f"{found.failing} rows that live got wrong are examples with the right answer. No version gets all of them",
        "right: chance has its share.",
    ]
    return "\n".join(lines) + "\n"


def _frame(project: Project, material: Material) -> pl.DataFrame:
    """Live rows with what was said and what turned out to be true."""
    rows = material.rows
    places = np.arange(rows.n)
    columns: dict[str, list[Value]] = {"decision_id": [decision_id(id) for id in rows.ids]}
    columns |= {name: some(column, places) for name, column in rows.inputs.items()}
    columns |= {f"said.{name}": some(column, places) for name, column in rows.outputs.items()}
    columns[f"outcome.{project.system.data.target}"] = rows.outcomes
    return pl.DataFrame({name: pl.Series(name, column, strict=False) for name, column in columns.items()})


def _without(source: Path) -> Callable[[str, list[str]], set[str]]:
    """What is not copied: hidden files and the feed."""

    def ignored(folder: str, names: list[str]) -> set[str]:
        return {name for name in names if name.startswith(".") or Path(folder, name) == source or name == "__pycache__"}

    return ignored


def _label(rows: LiveRows, row: int, project: Project, policy: Policy) -> str:
    code = project.task.truth([rows.outcomes[row]], policy)
    return policy.labels[int(code[0])] if not np.isnan(code[0]) else ""


def _right(project: Project, policy: Policy, rows: LiveRows, row: int) -> str:
    if policy.labels:
        return f"decision = {quote(_label(rows, row, project, policy))}\n"
    true = float(project.task.truth([rows.outcomes[row]], policy)[0])
    room = WITHIN * abs(true)
    return f"above = {true - room!r}\nbelow = {true + room!r}\n"


def _toml(project: Project, name: str, value: Value) -> str:
    """A value as `behaviours.toml` has it: moments and dates as texts."""
    type = project.types.get(name)
    if type == "timestamp" and isinstance(value, int):
        return f'"{(EPOCH + timedelta(microseconds=value)).isoformat().replace("+00:00", "Z")}"'
    if type == "date" and isinstance(value, int):
        return f'"{date(1970, 1, 1) + timedelta(days=value)}"'
    return scalar(value)
