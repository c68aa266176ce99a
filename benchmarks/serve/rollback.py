"""How long a version that is taken back goes on answering: on a server of two workers that are asked all the time.

    python benchmarks/serve/rollback.py [--rounds 12]

A version answers half of all requests. *By a person*: from the moment at which `kring rollback` is typed, and from the
one at which it has come back, to the last answer of the version on either worker. *By the operator*: the same from the
moment of its decision, as the ledger tells it, while the version fails. Prints rows for the table of results:
command, date, median over the second that is allowed, all of them.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(HERE / "tests"), str(HERE / "tests" / "reliability")]

import ills  # noqa: E402
from asking import Connection  # noqa: E402
from canaries import rollout_of  # noqa: E402

from served import Server, serving  # noqa: E402
from systems import kring  # noqa: E402

COMMAND = "python benchmarks/serve/rollback.py"
ALLOWED_S = 1.0
CALLERS = 4
PATIENCE_S = 60.0
WATCHED_S = 1.5


class Asked:
    """Callers that ask until they are told to stop; when the version was heard last."""

    def __init__(self, server: Server, key: str, *, mood: float) -> None:
        self._connections = [Connection(server.port, key) for _ in range(CALLERS)]
        self._mood, self._over, self._number = mood, False, 0
        self.last = 0.0
        self.answers = 0
        self._tasks = [asyncio.create_task(self._call(one)) for one in self._connections]

    async def _call(self, connection: Connection) -> None:
        while not self._over:
            self._number += 1
            said = await connection.ask(ills.rows(self._mood, 1, first=self._number)[0])
            if said.status == 200:
                self.answers += 1
                if said.json["arm"] == "canary":
                    self.last = time.time()

    async def stop(self) -> None:
        self._over = True
        await asyncio.gather(*self._tasks)
        for one in self._connections:
            await one.close()


async def one(server: Server, folder: Path, key: str, *, by_person: bool) -> tuple[float, float]:
    """Seconds from the beginning and from the end of a decision to the last answer."""
    assert kring("release", folder, "--candidate", "ill", "--yes").code == 0
    asked = Asked(server, key, mood=ills.FINE if by_person else ills.FAILS)
    end = time.monotonic() + PATIENCE_S
    if by_person:
        while not asked.last:
            assert time.monotonic() < end, server.log.read_text()
            await asyncio.sleep(0.01)
        began = time.time()
        words = [sys.executable, "-m", "kring", "rollback", str(folder), "--reason", "to see how long it takes"]
        done = await asyncio.create_subprocess_exec(*words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        assert await done.wait() == 0
        decided = time.time()
    else:
        while rollout_of(folder).state != "rolled_back":
            assert time.monotonic() < end, server.log.read_text()
            await asyncio.sleep(0.05)
        began = decided = rollout_of(folder).at / 1e6
    await asyncio.sleep(WATCHED_S)
    await asked.stop()
    return asked.last - began, max(0.0, asked.last - decided)


def tell(what: str, found: list[float]) -> None:
    several = " ".join(f"{one * 1000:.0f}" for one in sorted(found))
    median = statistics.median(found)
    told = f"median {median * 1000:.0f} ms, at most {max(found) * 1000:.0f} ms of {len(found)}: {several}"
    today = datetime.date.today().isoformat()
    print(f"| `{COMMAND}`, {what} | {today} | {median / ALLOWED_S:.2f}x the second allowed | {told} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=12)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as base:
        plan = 'shadow = "0s"\nsteps = [50]\nguardrails = ["error", "fallback"]'
        system = ills.made(Path(base) / "shown", plan)
        with serving([system.folder], workers=2) as server:
            by_person = [asyncio.run(one(server, system.folder, system.key, by_person=True)) for _ in range(rounds)]
            by_proof = [asyncio.run(one(server, system.folder, system.key, by_person=False)) for _ in range(rounds)]
    tell("from typing `kring rollback` to the last answer", [typed for typed, _ in by_person])
    tell("from its return to the last answer", [returned for _, returned in by_person])
    tell("from the operator's decision to the last answer", [decided for _, decided in by_proof])


if __name__ == "__main__":
    main()
