"""A bounded client that keeps every acknowledged answer, and what it takes to hold a log against them."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Final

from kring.metrics.claims import read_tag
from kring.metrics.ids import decision_ids
from kring.record.decision import Decisions
from kring.stores.reading import read_log

LENGTH: Final = re.compile(rb"\r\ncontent-length:[ ]*(\d+)", re.IGNORECASE)
CLOSED: Final = re.compile(rb"\r\nconnection:[ ]*close", re.IGNORECASE)
PATIENCE_S: Final = 30.0
AGAIN_S: Final = 0.02
"""Who is refused a connection waits so long: a server that is down is not hammered."""

Row = dict[str, Any]


@dataclass(frozen=True)
class Said:
    """One answer: status (0 for none at all), head, body, and how long it took."""

    status: int
    head: bytes = b""
    body: bytes = b""
    seconds: float = 0.0

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Connection:
    """One connection, opened when it is needed and again when it was closed."""

    port: int
    key: str
    path: str = "/api/decisions"
    _line: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, row: Row, *, headers: Mapping[str, str] | None = None, seconds: float = PATIENCE_S) -> Said:
        """One request; status 0 when the connection ended, or was not to be had, before an answer was there."""
        body = json.dumps({"inputs": row}).encode()
        return await self.send("POST", self.path, body, headers=headers, seconds=seconds)

    async def send(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        headers: Mapping[str, str] | None = None,
        seconds: float = PATIENCE_S,
    ) -> Said:
        told = {"Host": "127.0.0.1", "Authorization": f"Bearer {self.key}", **(headers or {})}
        lines = "".join(f"{name}: {value}\r\n" for name, value in told.items())
        more = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n" if body else ""
        began = time.monotonic()
        try:
            async with asyncio.timeout(seconds):
                if self._line is None:
                    self._line = await asyncio.open_connection("127.0.0.1", self.port)
                reader, writer = self._line
                writer.write(f"{method} {path} HTTP/1.1\r\n{lines}{more}\r\n".encode() + body)
                head = await reader.readuntil(b"\r\n\r\n")
                length = LENGTH.search(head)
                got = await reader.readexactly(int(length[1]) if length else 0)
        except (OSError, EOFError, TimeoutError):
            await self.close()
            return Said(0, seconds=time.monotonic() - began)
        if CLOSED.search(head):
            await self.close()
        return Said(int(head[9:12]), head, got, time.monotonic() - began)

    async def close(self) -> None:
        if self._line is not None:
            line, self._line = self._line, None
            line[1].close()
            with suppress(OSError, EOFError):
                await line[1].wait_closed()


@dataclass
class Acknowledged:
    """All answers that were given, by id; and the ids that were given under each idempotency key."""

    answers: dict[str, dict[str, Any]] = field(default_factory=dict)
    rows: dict[str, Row] = field(default_factory=dict)
    keyed: dict[str, set[str]] = field(default_factory=dict)
    statuses: Counter[int] = field(default_factory=Counter)
    strange: list[Said] = field(default_factory=list)
    """Neither an answer, nor a refusal that says when to come back, nor the end of a connection."""

    def add(self, row: Row, said: Said, *, key: str = "") -> None:
        self.statuses[said.status] += 1
        if said.status == 200:
            answer = said.json
            self.rows[answer["id"]] = row
            self.answers[answer["id"]] = answer
            if key:
                self.keyed.setdefault(key, set()).add(answer["id"])
        elif said.status and (said.status != 503 or b"\nretry-after:" not in said.head.lower()):
            self.strange.append(said)

    def hold_against(self, folder: Path, *, system: str) -> Counter[str]:
        """Every answer stands in the log exactly once, as it was given, and no request with a key twice; how often
        each id of the log stands in it."""
        logged = list(decisions(folder, system=system))
        times = Counter(id for id, _, _ in logged)
        assert set(times.values()) <= {1}, f"ids that stand there twice: {[id for id in times if times[id] > 1]}"
        lost = sorted(set(self.answers) - set(times))
        assert not lost, f"{len(lost)} of {len(self.answers)} acknowledged decisions are lost: {lost[:5]}"
        for id, record, row in logged:
            if id in self.answers:
                self._compare(id, record, row)
        tags = Counter(tag for _, record, row in logged if (tag := tag_of(record, row)))
        assert set(tags.values()) <= {1}, f"keys that were decided twice: {[tag for tag in tags if tags[tag] > 1]}"
        twice = {key: ids for key, ids in self.keyed.items() if len(ids) > 1}
        assert not twice, f"keys that were answered in two ways: {twice}"
        return times

    def _compare(self, id: str, record: Decisions, row: int) -> None:
        answer, asked = self.answers[id], self.rows[id]
        given = {"decision": answer["decision"], **answer["outputs"]}
        assert {name: record.outputs[name][row] for name in given} == given, id
        assert (record.version, record.answered_by) == (answer["version"], answer["answered_by"]), id
        numbers = {name: value for name, value in asked.items() if isinstance(value, float)}
        assert {name: record.inputs[name][row] for name in numbers} == numbers, id


def decisions(folder: Path, *, system: str) -> Iterator[tuple[str, Decisions, int]]:
    """Every decision of a system's log: its id, the record, the row. Copies for a shadow are left out."""
    for logged in read_log(folder / ".kring" / "log", system=system).read():
        record = logged.record
        if isinstance(record, Decisions) and record.kind != "shadow":
            for row, id in enumerate(decision_ids(logged.place, record.n)):
                yield id, record, row


def tag_of(record: Decisions, row: int) -> str:
    """The request's name and the place of the row in it; nothing for a request without a key."""
    tag = read_tag(record.keys[row]) if record.keys else None
    return f"{tag.name}.{tag.row}" if tag else ""


class Load:
    """So many callers, each asking again as soon as it is answered, until `stop`."""

    def __init__(
        self,
        port: int,
        key: str,
        *,
        rows: Callable[[int], Row],
        callers: int = 8,
        keyed: bool = True,
        kept: Acknowledged | None = None,
    ) -> None:
        self.kept = Acknowledged() if kept is None else kept
        self._name = f"{time.monotonic_ns()}"
        self._connections = [Connection(port, key) for _ in range(callers)]
        self._rows = rows
        self._keyed = keyed
        self._numbers = count()
        self._stopped = asyncio.Event()
        self._tasks = [asyncio.create_task(self._call(one)) for one in self._connections]

    async def _call(self, connection: Connection) -> None:
        """Whoever gets no answer asks again with the same key, as long as it takes; without a key, never."""
        while not self._stopped.is_set():
            number = next(self._numbers)
            row, key = self._rows(number), f"{self._name}-{number}" if self._keyed and number % 2 else ""
            while not self._stopped.is_set():
                said = await connection.ask(row, headers={"Idempotency-Key": key} if key else None)
                self.kept.add(row, said, key=key)
                if said.status in (0, 503):
                    await asyncio.sleep(AGAIN_S)
                if said.status == 200 or not key:
                    break

    async def until(self, more: int, *, seconds: float = 60.0) -> None:
        """Wait for so many more answers than there are now."""
        goal, end = len(self.kept.answers) + more, time.monotonic() + seconds
        while len(self.kept.answers) < goal:
            assert time.monotonic() < end, f"{goal - len(self.kept.answers)} answers did not come: {self.kept.statuses}"
            await asyncio.sleep(0.005)

    async def stop(self) -> Acknowledged:
        self._stopped.set()
        await asyncio.gather(*self._tasks)
        for one in self._connections:
            await one.close()
        return self.kept
