"""How fast history is replayed, against the bare work that no replay can do without.

    python benchmarks/replay.py [--rounds 3]

The flights of April to December 2013 live with one version of `boosted` in ticks of a simulated hour: contract
guard, prepared columns, routing, the version and its baseline in shadow, columnar records with fsync, outcomes at
their real delay, windows, realised quality. `bare` prepares the same batches and runs the same ONNX graph, and
nothing else. Training is not counted. CPU is user plus system time of one process with one thread.

Prints a row of the table of results: command, date, CPU ratio of the medians, decisions per CPU second.
"""

from __future__ import annotations

import argparse
import datetime
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve()
EXAMPLE = HERE.parents[1] / "examples" / "flights"
START = int(datetime.datetime(2013, 3, 31, tzinfo=datetime.UTC).timestamp()) * 1_000_000
END = int(datetime.datetime(2014, 1, 1, tzinfo=datetime.UTC).timestamp()) * 1_000_000
ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS")}


def set_up(folder: Path) -> None:
    """The example with one candidate beside the baseline, and nothing that starts a training."""
    shutil.copytree(EXAMPLE, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".kring", "feed"))
    subprocess.run([sys.executable, str(folder / "feed.py"), str(folder / "feed" / "2013.parquet")], check=True)
    file = folder / "kring.toml"
    text = re.sub(r"retrain_on = .*", "retrain_on = []", file.read_text(encoding="utf-8"))
    for name in ("linear", "forest"):
        text = re.sub(rf'\[\[candidate\]\]\nname = "{name}"\n(?:[^\[\n].*\n|\n)*', "", text)
    file.write_text(text, encoding="utf-8")


def live_once(folder: Path, home: Path) -> None:
    """In a process of its own: print decisions, CPU seconds of the replay and of the bare work."""
    from kring.flow.project import open_project
    from kring.flow.replaying.replay import begin, live, on_stage
    from kring.host.clock import SimulatedClock
    from kring.host.random import SeededRandom

    project = open_project(folder).at(home=home, clock=SimulatedClock(START), random=SeededRandom(0), actor="benchmark")
    with on_stage(project, start=START, end=END, seed=0) as stage:
        begin(stage)
        began = time.process_time()
        live(stage, start=START, end=END)
        replay = time.process_time() - began
        assert stage.decider is not None
        answerer, read = stage.decider.versions[stage.first], stage.decider.read
        stage.feed.decided = stage.feed.first
        began = time.process_time()
        for moment in sorted(set(stage.feed.time[stage.feed.first :].tolist())):
            rows = stage.feed.take_due(moment)
            answerer.runtime.answer(answerer.prepare(read(stage.feed.batch(rows))))
            if moment >= END:
                break
        bare = time.process_time() - began
    print(stage.decisions, replay, bare)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--once", nargs=2, type=Path)
    chosen = parser.parse_args()
    if chosen.once:
        live_once(*chosen.once)
        return
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "flights"
        set_up(folder)
        rounds = []
        for number in range(chosen.rounds):
            command = [sys.executable, str(HERE), "--once", str(folder), str(Path(place) / f"home{number}")]
            done = subprocess.run(command, env=os.environ | ONE_THREAD, capture_output=True, text=True, check=True)
            rounds.append([float(word) for word in done.stdout.split()])
    decisions, replay, bare = (statistics.median(one[place] for one in rounds) for place in range(3))
    print(
        f"| `python benchmarks/replay.py`, {decisions:,.0f} decisions | {datetime.date.today()} "
        f"| {replay / bare:.1f}x preparing the same batches and running the same graph "
        f"| {decisions / replay:,.0f} decisions/CPU s |"
    )


if __name__ == "__main__":
    main()
