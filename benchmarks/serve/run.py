"""What one answer costs: Kring beside the floor and beside the servers people use today, in turn, in one run.

    python benchmarks/serve/run.py --peers ~/.cache/kring-peers --install
    python benchmarks/serve/run.py --only floor,a --rounds 3
    python benchmarks/serve/run.py --json table.json

Path A is a Kring system of 30 numbers with ranges: contract, prepare, route, fallback, record, durable before the
answer. Path B adds an API key, an outlier score and two personal texts, which are kept encrypted. All servers have one
worker and answer one row a request; they stay up through all rounds, and each round asks every one of them at each
number of connections. A ratio is the median of the rounds' ratios to the floor of the same round.

`--peers` (or KRING_PEERS) is the folder of the peers' environments; `--install` makes them with pip. A peer that does
not install or start is told with its reason. Prints rows of the table of results; the table itself goes to stderr.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from kring_server import kring, three_systems
from load import Run, load, require_wrk
from servers import HERE, NoServer, Running, Server, floor, install, make_model, peers, start

FLOOR = "floor"
CONNECTIONS = (16, 64)
GOALS: dict[tuple[str, int], float] = {("a", 16): 1.6, ("a", 64): 1.5, ("b", 16): 2.2, ("b", 64): 2.2}
SHARES = {"fastapi": 6, "litserve": 13, "mlserver": 0, "mlserver-named": 13, "bentoml": 30, "mlflow": 80}
"""Path A at 64 connections may cost at most one of so many parts of the peer's CPU; 0: it is only compared, see
docs/choices/peers.md."""
LEAST_S = 3
"""In a shorter load a server that has just started spends more on beginning than its worker does on answering."""
STARTS = 3

Table = dict[tuple[str, int], list[Run]]


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def chosen(given: argparse.Namespace, folder: Path) -> Iterator[tuple[Server, Callable[[], None]]]:
    """Every server that is asked for, and what makes its model or system."""
    model = folder / "model.onnx"

    def fit() -> None:
        subprocess.run([sys.executable, str(HERE / "model.py"), "onnx", str(model)], check=True)

    cache = Path(given.peers)
    ours = [(floor(model), fit), kring("a", folder), kring("b", folder)]
    for server, make in ours:
        if server.name in given.only:
            yield server, make
    for peer in peers(cache):
        if peer.name in given.only:
            yield peer, lambda peer=peer: made(peer, cache, folder, wanted=given.install)


def made(peer: Server, cache: Path, folder: Path, *, wanted: bool) -> None:
    if wanted:
        say(f"installing {peer.name}")
        install(peer, cache)
    make_model(peer, cache, folder / peer.name)


@contextmanager
def all_running(given: argparse.Namespace, folder: Path, absent: dict[str, str]) -> Iterator[list[Running]]:
    """The servers that start; the others' reasons go to `absent`."""
    running: list[Running] = []
    try:
        for server, make in chosen(given, folder):
            try:
                make()
                running.append(start(server, folder / server.name))
                load(running[-1], connections=16, seconds=1)
                say(f"{server.name} answers")
            except (NoServer, subprocess.SubprocessError) as error:
                absent[server.name] = " ".join(str(error).split())
                say(f"{server.name} is not measured: {absent[server.name]}")
        yield running
    finally:
        for one in running:
            one.end()


def measured(running: list[Running], given: argparse.Namespace, absent: dict[str, str]) -> Table:
    """Every run; a server that does not last through all rounds is told as absent, with the end of its log."""
    table: Table = {}
    for number in range(given.rounds):
        for connections in given.connections:
            for one in [one for one in running if one.server.name not in absent]:
                try:
                    run = load(one, connections=connections, seconds=given.seconds)
                except NoServer as error:
                    absent[one.server.name] = f"round {number + 1}: {error}; {one.log.read_text()[-300:]}"
                    say(f"{one.server.name} is gone: {absent[one.server.name]}")
                    continue
                table.setdefault((one.server.name, connections), []).append(run)
                say(f"round {number + 1}, {connections} connections, {one.server.name}: {told(run)}")
    return table


def told(run: Run) -> str:
    failed = f"{run.failed} failed: {run.errors}" if run.failed else "0 failed"
    cost = f"{run.worker.us:.1f} µs worker, {run.others_us:.1f} µs others"
    return f"{cost}, {run.per_s:.0f}/s, p99 {run.p99_ms:.1f} ms, {failed}"


def median(values: Iterable[float]) -> float:
    return statistics.median(values)


def ratio(table: Table, name: str, base: str, connections: int, *, whole: bool = False) -> float | None:
    """The median over the rounds of what `name` costs as a multiple of `base`: worker alone, or the whole tree."""
    pairs = list(zip(table.get((name, connections), []), table.get((base, connections), []), strict=False))
    costs = [(one.us, other.us) if whole else (one.worker.us, other.worker.us) for one, other in pairs]
    return median(ours / theirs for ours, theirs in costs) if costs else None


def lines(table: Table) -> Iterator[str]:
    """The table for people: medians of the rounds."""
    columns = "connections", "worker µs", "x floor", "others µs", "tree x floor", "req/s", "p50 ms", "p99 ms"
    yield "| server | " + " | ".join(columns) + " | worker RSS MB | all MB | failed |"
    yield "|" + "---|" * (len(columns) + 4)
    for (name, connections), runs in table.items():
        alone, tree = (ratio(table, name, FLOOR, connections, whole=whole) for whole in (False, True))
        cells = [
            name,
            str(connections),
            f"{median(run.worker.us for run in runs):.1f}",
            "–" if alone is None else f"{alone:.2f}",
            f"{median(run.others_us for run in runs):.1f}",
            "–" if tree is None else f"{tree:.2f}",
            f"{median(run.per_s for run in runs):,.0f}",
            f"{median(run.p50_ms for run in runs):.1f}",
            f"{median(run.p99_ms for run in runs):.1f}",
            f"{median(run.worker.rss_mb for run in runs):.0f}",
            f"{median(sum(one.rss_mb for one in run.processes) for run in runs):.0f}",
            str(sum(run.failed for run in runs)),
        ]
        yield "| " + " | ".join(cells) + " |"


def result_rows(table: Table, absent: dict[str, str]) -> Iterator[str]:
    """Rows of the table of results."""
    for (name, connections), goal in GOALS.items():
        alone = ratio(table, name, FLOOR, connections)
        if alone is None:
            continue
        runs = table[name, connections]
        whole = ratio(table, name, FLOOR, connections, whole=True)
        beside = (
            f"{median(run.worker.us for run in runs):.0f} µs; the whole tree {whole:.2f}x; "
            f"p99 {median(run.p99_ms for run in runs):.1f} ms; {sum(run.failed for run in runs)} failed"
        )
        yield row(f"path {name.upper()}, {connections} connections", f"{alone:.2f}x the floor, {goal}x allowed", beside)
    for peer, parts in SHARES.items():
        share = ratio(table, peer, "a", max(CONNECTIONS), whole=True)
        if share is not None:
            bound = f"1/{parts} allowed" if parts else "to compare"
            beside = f"{median(run.us for run in table[peer, max(CONNECTIONS)]):.0f} µs; {bound}"
            yield row(f"path A beside {peer}", f"1/{share:.1f} of {peer}", beside)
        elif peer in absent:
            yield row(f"path A beside {peer}", "not measured", absent[peer].replace("|", "/")[:160])


def row(what: str, ratio: str, beside: str) -> str:
    return f"| `python benchmarks/serve/run.py`, {what} | {datetime.date.today()} | {ratio} | {beside} |"


def beginnings(given: argparse.Namespace, folder: Path) -> Iterator[str]:
    """How long Kring takes from its start to its first answer, and what a worker with three systems holds."""
    server, _ = kring("a", folder)
    firsts = []
    for _ in range(STARTS):
        one = start(server, folder / "a")
        firsts.append(one.first_s)
        one.end()
    yield row("start to first answer", f"{median(firsts) / 1.5:.2f}x the 1.5 s allowed", f"{median(firsts):.2f} s")
    three = three_systems(folder)
    one = start(three, folder / three.name)
    try:
        worker = load(one, connections=64, seconds=max(given.seconds, LEAST_S)).worker
    finally:
        one.end()
    told = f"{worker.rss_mb:.0f} MB"
    yield row("a worker with three systems", f"{worker.rss_mb / 130:.2f}x the 130 MB allowed", told)


def main() -> None:
    names = [FLOOR, "a", "b", *(peer.name for peer in peers(Path()))]
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--peers", default=os.environ.get("KRING_PEERS", str(Path.home() / ".cache" / "kring-peers")))
    parser.add_argument("--install", action="store_true", help="make the peers' environments with pip first")
    parser.add_argument("--only", type=lambda text: text.split(","), default=names, help=",".join(names))
    parser.add_argument("--rounds", type=int, choices=range(1, 41), default=5, metavar="1-40")
    parser.add_argument("--seconds", type=int, choices=range(1, 6), default=3)
    parser.add_argument("--connections", type=lambda text: [int(one) for one in text.split(",")], default=CONNECTIONS)
    parser.add_argument("--json", type=Path, help="where to write every run")
    given = parser.parse_args()
    if unknown := set(given.only) - set(names):
        sys.exit(f"there is no server {', '.join(sorted(unknown))}; there are: {', '.join(names)}")
    require_wrk()
    absent: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="kring-serve-") as place:
        folder = Path(place)
        with all_running(given, folder, absent) as running:
            table = measured(running, given, absent)
        print(*lines(table), sep="\n", file=sys.stderr)
        for found in result_rows(table, absent):
            print(found, flush=True)
        if ("a", given.connections[-1]) in table:
            for found in beginnings(given, folder):
                print(found, flush=True)
    if given.json:
        runs = {
            f"{name}/{number}": [dataclasses.asdict(run) for run in found] for (name, number), found in table.items()
        }
        given.json.write_text(json.dumps({"runs": runs, "absent": absent}, indent=1))


if __name__ == "__main__":
    main()
