"""R5 a disk that is full, R6 an fsync that fails, R7 no file left to open: in a running server of several workers."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import moods
import pytest
from asking import Acknowledged, Connection, Load
from released import Released
from rows import parcel

from living import until, workers
from served import Server, free_port, serving, typed, wait_until_ready

DISK_MB: Final = 24
OPEN_FILES: Final = 48
CROWD: Final = 120


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = shutil.which("mount")
    if mount is None or os.geteuid() != 0:
        pytest.skip("needs root to mount a small disk")
    words = [mount, "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", str(disk)]
    done = subprocess.run(words, capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"this machine mounts no small disk: {done.stderr.decode().strip()}")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def fill(disk: Path) -> Path:
    """No byte is left."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError:
                continue
    return ballast


def test_a_full_disk_refuses_before_it_acknowledges_and_passes(
    small_disk: Path, parcels_once: Released, moody: Released
) -> None:
    """The folder in which the workers meet lies there too; another system's log does not, and goes on."""
    system = parcels_once.copy(small_disk)
    kept = Acknowledged()
    with serving([system.folder, moody.folder], workers=2) as server:
        both = {"parcels": (system.key, parcel), "moody": (moody.key, lambda number: moods.row(moods.FINE, number))}

        def ask(name: str, number: int, *, key: str = "") -> int:
            secret, row = both[name]
            headers = {"X-Kring-System": name} | ({"Idempotency-Key": key} if key else {})
            said = asyncio.run(once(server, secret, row(number), headers))
            if name == "parcels":
                kept.add(row(number), said, key=key)
            elif said.status == 200:
                others.add(row(number), said)
            return said.status

        others = Acknowledged()
        assert [ask(name, 1) for name in both] == [200, 200]
        before = workers(system.folder)
        ballast = fill(small_disk)
        for number in range(2, 40):
            ask("parcels", number, key=f"full {number}" if number % 2 else "")
            assert ask("moody", number) == 200
        assert kept.statuses[503] > 10, "a disk of no byte refuses sooner or later"
        assert set(kept.statuses) == {200, 503}, kept.statuses
        assert server.ask("GET", "/livez").status == 200
        said = "parcels: nothing is acknowledged until there is room"
        until(lambda: said in server.log.read_text(), "a word about the disk", log=server.log)
        ballast.unlink()
        until(lambda: ask("parcels", 100) == 200, "an answer with room again", log=server.log)
        for number in range(2, 40):
            assert ask("parcels", number, key=f"full {number}") == 200
        assert server.ask("GET", "/readyz").status == 200
        assert workers(system.folder) == before, "nobody was started again"
    assert not kept.strange
    kept.hold_against(system.folder, system="parcels")
    others.hold_against(moody.folder, system="moody")


async def once(server: Server, key: str, row: dict[str, object], headers: dict[str, str]):
    connection = Connection(server.port, key)
    try:
        return await connection.ask(row, headers=headers)
    finally:
        await connection.close()


@contextmanager
def with_a_broken_disk(system: Released, broken: Path, *, part: str = "") -> Iterator[Server]:
    """A server of two workers; the disk of the first, or of the `part`, breaks when the file `broken` is there."""
    log, port, here = broken.parent / "server.log", free_port(), Path(__file__).parent
    environ = os.environ | {"NO_COLOR": "1", "BROKEN": str(broken), "PYTHONPATH": pythonpath(here), "BROKEN_PART": part}
    words = [sys.executable, str(here / "broken_server.py"), "serve", str(system.folder), "--port", str(port)]
    with log.open("wb") as out:
        process = subprocess.Popen([*words, "--workers", "2"], stdout=out, stderr=subprocess.STDOUT, env=environ)
    server = Server(port, 0, (system.folder,), process, log, system.key)
    try:
        wait_until_ready(server)
        yield server
    finally:
        server.stop()


def test_after_a_failed_fsync_no_worker_acknowledges_anything(parcels: Released, tmp_path: Path) -> None:
    """One worker's fsync fails; the other one's would not. Started again on a disk that is well, all goes on."""
    broken = tmp_path / "the disk of worker 0 is broken"
    with with_a_broken_disk(parcels, broken) as server:
        kept = asyncio.run(broken_meanwhile(server, broken))
    told = server.log.read_text()
    assert "nothing is acknowledged from here on" in told, told
    assert "Input/output error" in told, told
    assert not kept.strange
    kept.hold_against(parcels.folder, system="parcels")
    with serving([parcels.folder]) as again:
        assert again.ask("POST", "/api/decisions", {"inputs": parcel(1)}, key=parcels.key).status == 200


def test_a_failed_fsync_of_what_others_report_stops_all_and_a_start_brings_all_back(
    parcels: Released, tmp_path: Path
) -> None:
    """Outcomes and the events of other servers go by the rule of the workers, before the failure and after a start."""
    broken = tmp_path / "the disk of the control process is broken"
    with with_a_broken_disk(parcels, broken, part="control") as server:
        id = server.ask("POST", "/api/decisions", {"inputs": parcel(1)}).json["id"]
        assert (outcome(server, id, 40.0), overheard(server, "one")) == (200, 200)
        broken.touch()
        assert outcome(server, id, 41.0) == 503
        until(lambda: server.ask("GET", "/readyz").status == 503, "a word about it", log=server.log)
        broken.unlink()
        assert (outcome(server, id, 42.0), overheard(server, "two")) == (503, 503)
        until(lambda: {decided(server) for _ in range(10)} == {503}, "both workers to stop", log=server.log)
    assert server.log.read_text().count("nothing is acknowledged from here on") == 1
    with serving([parcels.folder]) as again:
        again.key = parcels.key
        assert (outcome(again, id, 43.0), overheard(again, "three"), decided(again)) == (200, 200, 200)


def outcome(server: Server, id: str, value: float) -> int:
    return server.ask("POST", f"/api/decisions/{id}/outcome", {"value": value}).status


def decided(server: Server) -> int:
    return server.ask("POST", "/api/decisions", {"inputs": parcel(2)}).status


def overheard(server: Server, id: str) -> int:
    """A request of KServe's and its answer; the status of what is recorded then."""
    kind, said = "org.kubeflow.serving.inference.", {"predictions": [30.0]}
    event = {"ce-id": id, "ce-source": "s", "ce-specversion": "1.0", "ce-type": f"{kind}request"}
    first = server.ask("POST", "/api/events/kserve", {"instances": [parcel(3)]}, headers=event)
    assert first.status == 200, first.body
    return server.ask("POST", "/api/events/kserve", said, headers=event | {"ce-type": f"{kind}response"}).status


def pythonpath(*more: Path) -> str:
    return os.pathsep.join([*map(str, more), *filter(None, [os.environ.get("PYTHONPATH")])])


async def broken_meanwhile(server: Server, broken: Path) -> Acknowledged:
    load = Load(server.port, server.key, rows=parcel, keyed=False)
    try:
        await load.until(50)
        broken.touch()
        connection = Connection(server.port, "")
        for _ in range(3000):
            if (await connection.send("GET", "/readyz")).status == 503:
                break
            await asyncio.sleep(0.02)
        told = await connection.send("GET", "/readyz")
        await connection.close()
        assert told.status == 503
        assert b"parcels" in told.body
        await asyncio.sleep(0.5)  # every worker looks at the page ten times a second
        acknowledged = load.kept.statuses[200]
        for _ in range(20):
            await asyncio.sleep(0.05)
        assert load.kept.statuses[200] == acknowledged, "a later acknowledgement"
        assert load.kept.statuses[503] > 0
    finally:
        await load.stop()
    return load.kept


def test_without_a_file_left_to_open_nothing_is_lost_and_it_passes(parcels: Released, tmp_path: Path) -> None:
    """More connections than there are files: those that are there are answered, and all are when the crowd has gone."""
    port = free_port()
    limited = f"bash -c 'ulimit -n {OPEN_FILES} && exec kring serve parcels --port {port} --workers 1'"
    server = typed(limited, tmp_path, port=port, grpc_port=0)
    server.folders, server.key = (parcels.folder,), parcels.key
    try:
        kept = asyncio.run(crowded(server))
        until(lambda: server.ask("GET", "/readyz", seconds=5.0).status == 200, "to be ready again", log=server.log)
    finally:
        assert server.stop() == 0, server.log.read_text()
    assert not kept.strange, kept.strange
    kept.hold_against(parcels.folder, system="parcels")


async def crowded(server: Server) -> Acknowledged:
    load = Load(server.port, server.key, rows=parcel, callers=2)
    try:
        await load.until(20)
        with ExitStack() as crowd:
            for _ in range(CROWD):
                one = crowd.enter_context(socket.socket())
                one.setblocking(False)
                one.connect_ex(("127.0.0.1", server.port))
            await load.until(100)
        await load.until(100)
        connection = Connection(server.port, server.key)
        for number in range(20):
            said = await connection.ask(parcel(10_000 + number))
            load.kept.add(parcel(10_000 + number), said)
            assert said.status == 200
        await connection.close()
    finally:
        await load.stop()
    return load.kept
