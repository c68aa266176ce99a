"""A version that misbehaves in a running server: R12 to R16, R35 a line that discards who is late, R36 the breaker."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Final

import moods
import pytest
from asking import Acknowledged, Connection, decisions
from released import Released

from living import SOON_S, until, workers
from served import Server, serving

TIMEOUT_S: Final = 0.5
FAULTS: Final = {
    "raises": (moods.RAISES, "it raised RuntimeError"),
    "says NaN": (moods.SAYS_NAN, "no usable answer"),
    "says infinity": (moods.SAYS_INFINITY, "no usable answer"),
    "says 7.5": (moods.SAYS_TOO_MUCH, "no usable answer"),
    "leaves rows out": (moods.WRONG_SHAPE, "does not answer row by row"),
    "says words": (moods.WRONG_KIND, ""),
    "says nothing": (moods.SAYS_NOTHING, ""),
    "hangs": (moods.HANGS, "did not answer"),
    "holds the interpreter's lock": (moods.HOLDS_THE_LOCK, "did not answer"),
    "dies of a segfault": (moods.DIES, "was ended by SIGSEGV"),
    "ends its process": (moods.EXITS, ""),
}


@pytest.fixture(scope="module")
def system(moody_once: Released, tmp_path_factory: pytest.TempPathFactory) -> Released:
    return moody_once.copy(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def server(system: Released) -> Iterator[Server]:
    with serving([system.folder], workers=1) as running:
        running.key = system.key
        yield running
        assert running.process.poll() is None, running.log.read_text()
        assert "Traceback" not in running.log.read_text()


def ask(server: Server, mood: float, number: int = 0) -> dict[str, Any]:
    said = server.ask("POST", "/api/decisions", {"inputs": moods.row(mood, number)})
    assert said.status == 200, said
    answer = said.json
    assert isinstance(answer, dict)
    return answer


def answers_itself(server: Server, times: int = 6) -> int:
    """Wait until the version answers by itself so many times in a row: whatever was wrong before is over. How often
    it was asked."""
    asked = 0

    def is_well() -> bool:
        nonlocal asked
        asked += times
        answers = [ask(server, moods.FINE, number) for number in range(times)]
        return all(answer["answered_by"] == answer["version"] for answer in answers)

    until(is_well, "an answer by the version itself", log=server.log)
    return asked


@pytest.mark.parametrize("name", FAULTS)
def test_what_is_no_answer_is_answered_by_the_baseline_with_the_reason(server: Server, name: str) -> None:
    mood, why = FAULTS[name]
    answers_itself(server)
    began = time.monotonic()
    answer = ask(server, mood)
    assert time.monotonic() - began < SOON_S / 4
    assert answer["answered_by"] == f"{answer['version']}/baseline"
    assert why in answer["fallback"]
    assert answer["fallback"].startswith(answer["version"])
    assert 0 <= answer["outputs"]["probability"] <= 1
    assert answer["decision"] in ("UP", "DOWN")
    answers_itself(server)


def test_a_bad_row_leaves_its_neighbours_theirs(server: Server) -> None:
    answers_itself(server)
    rows = [moods.row(mood, number) for number, mood in enumerate((moods.FINE, moods.SAYS_NAN, moods.FINE))]
    said = server.ask("POST", "/api/decisions", {"inputs": rows})
    assert said.status == 200
    by = [answer["answered_by"].partition("/")[2] for answer in said.json["decisions"]]
    assert by == ["", "baseline", ""]


def test_what_leaks_is_recycled_and_answers_go_on(server: Server, system: Released) -> None:
    """A megabyte for each row: more than the process may hold, in one run of questions."""
    answers_itself(server)
    before = workers(system.folder)
    for first in range(0, 800, 100):
        rows = [moods.row(moods.LEAKS, first + number) for number in range(100)]
        assert server.ask("POST", "/api/decisions", {"inputs": rows}).status == 200
    answers_itself(server)
    assert workers(system.folder) == before, "the data worker itself was not touched"


def test_the_breaker_lets_one_probe_through_and_waits_longer_each_time(server: Server, system: Released) -> None:
    """Failing requests without a pause: five reach the version, then one a second later, then one two seconds later."""
    answers_itself(server)
    known = {id for id, _, _ in decisions(system.folder, system=system.name)}
    asyncio.run(fail_for(server, seconds=5.0))
    asked: dict[int, int] = {}
    spared = 0
    for id, record, _ in decisions(system.folder, system=system.name):
        if id not in known and "left alone after failing" in record.fallback:
            spared += 1
        elif id not in known and "it raised RuntimeError" in record.fallback:
            asked[record.at] = asked.get(record.at, 0) + 1
    moments = sorted(asked)
    assert spared > 5 * len(moments), "hardly anybody was spared"
    assert 6 <= len(moments) <= 8, "five failures in a row, and then probes after one, two, four seconds"
    waits = [(later - earlier) / 1e6 for earlier, later in pairwise(moments[4:])]
    assert all(wait >= least for wait, least in zip(waits, (0.95, 1.95, 3.95), strict=False)), waits
    answers_itself(server)


async def fail_for(server: Server, *, seconds: float) -> None:
    until_then, connections = time.monotonic() + seconds, [Connection(server.port, server.key) for _ in range(4)]

    async def one(connection: Connection) -> None:
        while time.monotonic() < until_then:
            said = await connection.ask(moods.row(moods.RAISES))
            assert said.status == 200, said
        await connection.close()

    await asyncio.gather(*map(one, connections))


def test_who_is_late_is_discarded_before_the_version_is_asked(server: Server, system: Released) -> None:
    """The first one takes all the time there is; who came right behind it is told that it could not begin."""
    before = sum(1 for _ in decisions(system.folder, system=system.name))
    kept, asked = Acknowledged(), 0
    for first in range(0, 1000, 100):
        asked += answers_itself(server)
        asyncio.run(behind_one_that_hangs(server, kept, first))
        if kept.statuses[503]:
            break
    assert kept.statuses[503], "nobody was late in ten rounds"
    assert kept.statuses.keys() <= {200, 503}, kept.statuses
    assert not kept.strange
    there = sum(1 for _ in decisions(system.folder, system=system.name))
    assert there - before == kept.statuses[200] + asked, "what was refused was not decided either"
    kept.hold_against(system.folder, system=system.name)
    answers_itself(server)


async def behind_one_that_hangs(server: Server, kept: Acknowledged, first: int) -> None:
    """Connections are open before it begins, so that those behind it come within some milliseconds."""
    connections = [Connection(server.port, server.key) for _ in range(13)]

    async def one(connection: Connection, number: int, mood: float, wait: float) -> None:
        row = moods.row(mood, first + number)
        await asyncio.sleep(wait)
        kept.add(row, await connection.ask(row))

    await asyncio.gather(*(one(connection, 50 + at, moods.FINE, 0.0) for at, connection in enumerate(connections)))
    hanging, *others = connections
    behind = [one(connection, at, moods.FINE, 0.002 * at) for at, connection in enumerate(others, start=1)]
    await asyncio.gather(one(hanging, 0, moods.HANGS, 0.0), *behind)
    for connection in connections:
        await connection.close()
