"""What it costs to compare two files of 5 million rows and 20 columns: Kring, two passes by hand, NannyML, Evidently.

    python benchmarks/drift/run.py --peers ~/.cache/kring-peers --install
    python benchmarks/drift/run.py --rows 500000 --rounds 1

The columns are normal; in the second file the mean of three of them lies 0.1 standard deviations higher. Each tool runs
in a process of its own, in turn, with its imports and its reading of Parquet; CPU seconds are those of the process with
all its threads. `--peers` (or KRING_PEERS) is the folder of the peers' environments; `--install` makes them with pip. A
peer that does not end within 420 s, or can't be run, is told as that.

Prints rows of the table of results.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import polars as pl

HERE: Final = Path(__file__).parent
COLUMNS: Final = 20
MOVED: Final = 3
SHIFT: Final = 0.1
PATIENCE_S: Final = 420
GOAL: Final = 1.3
PEERS: Final = {
    "nannyml": ["nannyml", "statsmodels", "pyarrow", "setuptools<81"],
    "evidently": ["evidently>=0.7", "pandas<3", "pyarrow"],
}
ENVIRON: Final = {**os.environ, "NML_DISABLE_USAGE_LOGGING": "1", "DO_NOT_TRACK": "1"}


class Ran(NamedTuple):
    """What one process told of itself."""

    cpu: float
    mb: float
    drifted: list[str]


class NotRun(Exception):
    """Why a tool has no figures."""


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def write(file: Path, *, rows: int, seed: int, shift: float) -> None:
    random = np.random.default_rng(seed)
    columns = {f"x{number}": random.normal(shift if number < MOVED else 0.0, 1.0, rows) for number in range(COLUMNS)}
    pl.DataFrame(columns).write_parquet(file)


def install(name: str, cache: Path) -> None:
    """Make a peer's environment from PyPI, once."""
    place = cache / name
    done, wanted = place / ".done", "\n".join(PEERS[name])
    if done.exists() and done.read_text() == wanted:
        return
    pip = [str(place / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    for command in ([sys.executable, "-m", "venv", str(place)], [*pip, *PEERS[name]]):
        ran = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
        if ran.returncode:
            raise NotRun(f"could not be installed: {ran.stderr.strip()[-200:]}")
    done.write_text(wanted)


def run(command: list[str]) -> Ran:
    if not Path(command[0]).exists():
        raise NotRun("no environment; --install makes it")
    try:
        ran = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False, env=ENVIRON)
    except subprocess.TimeoutExpired as error:
        raise NotRun(f"not finished after {PATIENCE_S} s") from error
    if ran.returncode:
        raise NotRun(f"ended with {ran.returncode}: {' '.join(ran.stderr.split())[-160:]}")
    return Ran(**json.loads(ran.stdout.splitlines()[-1]))


def row(what: str, ratio: str, beside: str) -> str:
    return f"| `python benchmarks/drift/run.py`, {what} | {datetime.date.today()} | {ratio} | {beside} |"


def told(ran: Ran) -> str:
    found = sum(name in {f"x{number}" for number in range(MOVED)} for name in ran.drifted)
    return (
        f"{ran.cpu:.1f} CPU s, {ran.mb:.0f} MB; named {found} of {MOVED} that moved, {len(ran.drifted) - found} others"
    )


def ours(files: list[str], *, rounds: int, rows: int) -> Iterator[str]:
    """Kring beside both passes by hand, as medians of the rounds."""
    commands = {
        "kring": [sys.executable, str(HERE / "pass_by_kring.py"), *files],
        "search": [sys.executable, str(HERE / "pass_by_hand.py"), "search", *files],
        "compare": [sys.executable, str(HERE / "pass_by_hand.py"), "compare", *files],
    }
    found: dict[str, list[Ran]] = {name: [] for name in commands}
    for number in range(rounds):
        for name, command in commands.items():
            found[name].append(run(command))
            say(f"round {number + 1}, {name}: {told(found[name][-1])}")
    size = f"2 x {rows:,} rows x {COLUMNS} columns"
    for name, what in (("search", "a lookup of each value"), ("compare", "the fastest comparisons")):
        pairs = zip(found["kring"], found[name], strict=True)
        ratio = statistics.median(mine.cpu / theirs.cpu for mine, theirs in pairs)
        yield row(
            f"{size}, beside a pass by hand with {what}",
            f"{ratio:.2f}x its CPU, {GOAL}x allowed",
            f"{told(found['kring'][-1])}; by hand {told(found[name][-1])}",
        )


def memory(folder: Path, *, rows: int) -> Iterator[str]:
    """Half of the rows, to see that memory does not grow with them."""
    few = files_of(folder / "few", rows=rows // 2)
    small, large = (
        run([sys.executable, str(HERE / "pass_by_kring.py"), *files]) for files in (few, files_of(folder, rows=rows))
    )
    yield row(
        f"memory, {rows:,} rows beside {rows // 2:,}",
        f"{large.mb / small.mb:.2f}x",
        f"{large.mb:.0f} MB beside {small.mb:.0f} MB",
    )


def peers(files: list[str], given: argparse.Namespace) -> Iterator[str]:
    for name in given.only:
        try:
            if given.install:
                say(f"installing {name}")
                install(name, given.peers)
            ran = run([str(given.peers / name / "bin" / "python"), str(HERE / "peers" / f"{name}_pass.py"), *files])
            say(f"{name}: {told(ran)}")
            yield row(f"the same by {name}", f"{ran.cpu:.1f} CPU s", told(ran))
        except NotRun as error:
            say(f"{name}: {error}")
            yield row(f"the same by {name}", "not measured", str(error).replace("|", "/"))


def files_of(folder: Path, *, rows: int) -> list[str]:
    """Reference and current, written where they are not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / "reference.parquet", folder / "current.parquet"]
    for number, file in enumerate(files):
        if not file.exists():
            write(file, rows=rows, seed=number, shift=SHIFT * number)
    return [str(file) for file in files]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--rounds", type=int, choices=range(1, 10), default=3)
    default = os.environ.get("KRING_PEERS", str(Path.home() / ".cache" / "kring-peers"))
    parser.add_argument("--peers", type=Path, default=Path(default))
    parser.add_argument("--install", action="store_true", help="make the peers' environments with pip first")
    parser.add_argument("--only", type=lambda text: [one for one in text.split(",") if one], default=list(PEERS))
    given = parser.parse_args()
    if unknown := set(given.only) - set(PEERS):
        sys.exit(f"there is no peer {', '.join(sorted(unknown))}; there are: {', '.join(PEERS)}")
    with tempfile.TemporaryDirectory(prefix="kring-drift-") as place:
        files = files_of(Path(place), rows=given.rows)
        for found in (
            *ours(files, rounds=given.rounds, rows=given.rows),
            *memory(Path(place), rows=given.rows),
            *peers(files, given),
        ):
            print(found, flush=True)


if __name__ == "__main__":
    main()
