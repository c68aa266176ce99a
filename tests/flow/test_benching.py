"""A load test: its own client against tiny servers, its bounds, and a real system under load."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socketserver
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kring.errors import KringError, NotFound, Refused, Unauthenticated, Unavailable, UserError
from kring.flow.benching import client
from kring.flow.benching.asking import ask, chosen
from kring.flow.benching.bench import bench, costs
from kring.flow.benching.client import Order, load, quantile, requests_of
from kring.flow.benching.rows import bodies_of
from kring.flow.project import Project, open_project
from kring.host.files import LocalFiles
from kring.host.tree import Used
from systems import kring, write_loans

YES = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
NO = b"HTTP/1.1 422 Unprocessable\r\ncontent-length: 2\r\n\r\n{}"
LAST = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}"


class Tiny(socketserver.ThreadingTCPServer):
    """A server on a free port that says the same to every request. What it was asked is in `heard`."""

    block_on_close = True

    def __init__(self, answer: bytes, *, closes: bool = False) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer = answer
        self.closes = closes
        self.heard: list[bytes] = []

    @property
    def port(self) -> int:
        return self.server_address[1]


class Handler(socketserver.StreamRequestHandler):
    server: Tiny
    timeout = 20

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            while head := self.head():
                found = client.LENGTH.search(head)
                self.server.heard.append(head + self.rfile.read(int(found[1]) if found else 0))
                self.wfile.write(self.server.answer)
                if self.server.closes:
                    return

    def head(self) -> bytes:
        """Up to the empty line; nothing when the connection ends before."""
        lines = [self.rfile.readline()]
        while lines[-1] not in (b"\r\n", b""):
            lines.append(self.rfile.readline())
        return b"".join(lines) if lines[-1] else b""


@contextmanager
def standing(tiny: Tiny) -> Iterator[Tiny]:
    """The server in a thread of its own."""
    thread = Thread(target=tiny.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield tiny
    finally:
        tiny.shutdown()
        thread.join()
        tiny.server_close()


def order(port: int, *, seconds: float = 0.3, connections: int = 4, **headers: str) -> Order:
    return Order(
        host="127.0.0.1",
        port=port,
        path="/api/decisions",
        headers=headers,
        bodies=['{"inputs": {"a": 1}}', '{"inputs": {"a": 2}}', '{"inputs": {"a": "ü"}}'],
        connections=connections,
        seconds=seconds,
    )


def test_what_is_answered_is_counted_and_timed() -> None:
    with standing(Tiny(YES)) as tiny:
        told = asyncio.run(load(order(tiny.port, **{"X-Kring-System": "loans"})))
    assert told.answered > 20
    assert 0 <= len(tiny.heard) - told.answered <= 4, "only what was under way at the end is left out"
    assert (told.refused, told.failed) == (0, 0)
    assert told.p50_ms is not None
    assert told.p90_ms is not None
    assert told.p99_ms is not None
    assert 0 < told.p50_ms <= told.p90_ms <= told.p99_ms
    assert told.seconds == pytest.approx(0.3, abs=0.25)
    bodies = {heard.partition(b"\r\n\r\n")[2].decode() for heard in tiny.heard}
    assert bodies == set(order(1).bodies)
    assert all(b"\r\nX-Kring-System: loans\r\n" in heard for heard in tiny.heard)


def test_a_refusal_is_no_answer() -> None:
    with standing(Tiny(NO)) as tiny:
        told = asyncio.run(load(order(tiny.port)))
    assert told.answered == 0
    assert told.refused > 20
    assert (told.failed, told.p50_ms, told.p99_ms) == (0, None, None)


def test_a_connection_that_is_closed_is_opened_again() -> None:
    with standing(Tiny(LAST, closes=True)) as tiny:
        told = asyncio.run(load(order(tiny.port)))
    assert told.answered > 20
    assert told.failed == 0


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"hello\r\n\r\n",
        b"HTTP/1.1 two hundred\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n",
        b"x" * (1 << 17),
    ],
    ids=["nothing", "no HTTP", "no status", "no length", "cut off", "too much", "an endless head"],
)
def test_an_answer_that_cannot_be_read_has_failed(answer: bytes) -> None:
    with standing(Tiny(answer, closes=True)) as tiny:
        told = asyncio.run(load(order(tiny.port)))
    assert (told.answered, told.refused) == (0, 0)
    assert told.failed >= 4


def test_nobody_waits_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "PATIENCE_S", 0.1)
    with standing(Tiny(b"")) as tiny:
        told = asyncio.run(load(order(tiny.port, seconds=0.5)))
    assert told.answered == 0
    assert told.failed >= 4
    assert told.seconds < 5


def test_a_server_that_is_not_there_has_failed_and_is_not_hammered() -> None:
    with standing(Tiny(YES)) as tiny:
        port = tiny.port
    told = asyncio.run(load(order(port, seconds=0.4)))
    assert told.answered == 0
    assert 4 <= told.failed <= 4 * 0.4 / client.PAUSE_S + 4


@given(st.lists(st.floats(0, 1e3), min_size=1, max_size=200), st.sampled_from([0.5, 0.9, 0.99]))
def test_a_quantile_is_the_one_of_the_empirical_distribution(values: list[float], q: float) -> None:
    expected = 1000 * float(np.quantile(values, q, method="inverted_cdf"))
    assert quantile(sorted(values), q) == expected


def test_a_request_carries_its_length_in_bytes() -> None:
    head, _, body = requests_of(order(80))[2].partition(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    assert body.decode() == '{"inputs": {"a": "ü"}}'


def test_our_client_runs_as_a_process_of_its_own(tmp_path: Path) -> None:
    with standing(Tiny(YES)) as tiny:
        told = ask(order(tiny.port), client="built-in", folder=tmp_path, files=LocalFiles())
    assert told.answered > 0


def test_wrk_is_handed_the_key_by_a_private_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    said = '{"us":1000000,"requests":500,"refused":20,"failed":3,"p50":1500,"p90":2500,"p99":9000}'
    (folder / "wrk").write_text(f"#!/bin/sh\necho \"$@\" > {tmp_path}/words\necho noise\necho '{said}'\n")
    (folder / "wrk").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    told = ask(order(80, Authorization="Bearer secret"), client="wrk", folder=tmp_path, files=LocalFiles())
    assert (told.answered, told.refused, told.failed) == (480, 20, 3)
    assert (told.p50_ms, told.p99_ms) == (1.5, 9.0)
    words = (tmp_path / "words").read_text()
    assert "-c4" in words
    assert "secret" not in words
    asked = tmp_path / "requests.txt"
    assert asked.read_text().startswith("Authorization: Bearer secret\n\n{")
    assert stat.S_IMODE(asked.stat().st_mode) == 0o600


def test_a_client_that_fails_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "wrk").write_text("#!/bin/sh\necho unable to connect\nexit 1\n")
    (folder / "wrk").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    with pytest.raises(Unavailable, match="wrk failed") as caught:
        ask(order(80), client="wrk", folder=tmp_path, files=LocalFiles())
    assert "unable to connect" in caught.value.got


def test_without_wrk_our_own_client_asks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert chosen("auto") == "built-in"
    with pytest.raises(UserError, match="wrk is not installed"):
        chosen("wrk")


def test_the_cpu_of_a_process_is_told_per_answer() -> None:
    before = {1: Used("worker", 1_000_000, 90.0), 2: Used("gone", 5, 1.0)}
    after = {1: Used("worker", 3_000_000, 100.0), 3: Used("new", 4_000_000, 10.0)}
    found = costs(before, after, answered=1000)
    assert [(one.name, one.cpu_us, one.rss_mb) for one in found] == [("new", 4000.0, 10.0), ("worker", 2000.0, 100.0)]


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = write_loans(tmp_path_factory.mktemp("benched") / "loans")
    assert kring("go", folder).code == 0
    return open_project(folder)


def test_rows_are_what_is_known_when_a_decision_is_made(released: Project) -> None:
    newest, bodies = bodies_of(released)
    rows = [json.loads(body)["inputs"] for body in bodies]
    assert newest.system == "loans"
    assert 1 < len(rows) <= 256
    assert all(row.keys() == {"asked_at", "email", "region", "amount", "income"} for row in rows)
    assert all(row["asked_at"].endswith("Z") and "@" not in row["email"] for row in rows)
    assert bodies == bodies_of(released)[1]


def test_a_system_without_a_snapshot_has_no_rows(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no snapshot"):
        bodies_of(open_project(write_loans(tmp_path / "loans")))


@pytest.mark.parametrize(
    ("asked", "key"),
    [
        ({"connections": (257,)}, "connections"),
        ({"connections": (0, 4)}, "connections"),
        ({"connections": ()}, "connections"),
        ({"connections": (4, 4)}, "connections"),
        ({"connections": tuple(range(1, 10))}, "connections"),
        ({"seconds": 61}, "seconds"),
        ({"seconds": 0}, "seconds"),
        ({"url": "http://example.org"}, "url"),
        ({"url": "http://10.0.0.1:8000"}, "url"),
        ({"url": "http://0.0.0.0:8000"}, "url"),
        ({"url": "http://127.0.0.1.example.org"}, "url"),
        ({"url": "http://localhost@example.org"}, "url"),
        ({"url": "https://127.0.0.1"}, "url"),
        ({"url": "http://127.0.0.1:99999"}, "url"),
        ({"url": "http://127.0.0.1:8000/systems/loans"}, "url"),
        ({"url": "http://[::1"}, "url"),
        ({"url": "127.0.0.1:8000"}, "url"),
        ({"url": "file:///etc/passwd"}, "url"),
        ({"url": "http://127.0.0.1:8000", "key": "a\r\nX-Other: b"}, "KRING_KEY"),
    ],
)
def test_what_is_out_of_bounds_is_never_begun(released: Project, asked: dict, key: str) -> None:
    with pytest.raises(UserError) as caught:
        bench(released, **{"connections": (1,), "seconds": 1, "client": "built-in", **asked})
    assert caught.value.key == key
    assert caught.value.allowed


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (b"HTTP/1.1 401 No\r\nContent-Length: 3\r\n\r\nwho", Unauthenticated, "KRING_KEY"),
        (NO, Refused, "same system"),
        (b"SSH-2.0 hello\r\n\r\n", Unavailable, "kring serve"),
    ],
    ids=["let in", "refused", "no HTTP"],
)
def test_a_server_that_says_no_at_first_is_not_loaded(
    released: Project, answer: bytes, error: type[KringError], words: str
) -> None:
    with standing(Tiny(answer, closes=True)) as tiny, pytest.raises(error) as caught:
        bench(released, connections=(1,), seconds=1, client="built-in", url=f"http://127.0.0.1:{tiny.port}")
    assert words in caught.value.next
    assert len(tiny.heard) == 1


def test_a_server_that_is_there_is_asked_with_its_key(released: Project) -> None:
    with standing(Tiny(YES)) as tiny:
        url = f"http://localhost:{tiny.port}".replace("localhost", "127.0.0.1")
        test = bench(released, connections=(2,), seconds=1, client="built-in", url=url, key="kring_live_x")
    assert (test.workers, test.first_answer_s, test.levels[0].processes) == (0, None, ())
    assert test.levels[0].answered > 0
    assert all(b"\r\nAuthorization: Bearer kring_live_x\r\n" in heard for heard in tiny.heard)


def test_a_load_test_leaves_no_trace_but_its_page(released: Project) -> None:
    before = contents(released.home.root)
    told = kring(
        "bench", "serve", released.folder, "--seconds", "1", "--connections", "2", "--client", "built-in", "--json"
    )
    assert told.code == 0, told.err
    level = told.json["test"]["levels"][0]
    assert level["answered"] > 0
    assert (level["refused"], level["failed"]) == (0, 0)
    assert level["processes"][0]["cpu_us"] > 0
    assert told.json["test"]["first_answer_s"] > 0
    page = Path(told.json["page"])
    assert "Under load" in page.read_text()
    page.unlink()
    assert contents(released.home.root) == before
    assert kring("status", released.folder, "--verify").code == 0


def contents(folder: Path) -> dict[str, bytes]:
    """Every file but the marks of who is at work."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in (".working", "ledger.db-wal", "ledger.db-shm")
    }


def test_the_records_survive_a_round_trip(released: Project) -> None:
    with standing(Tiny(YES)) as tiny:
        test = bench(
            released, connections=(1,), seconds=1, client="built-in", url=f"http://127.0.0.1:{tiny.port}", workers=3
        )
    assert msgspec.json.decode(msgspec.json.encode(test), type=type(test)) == test
