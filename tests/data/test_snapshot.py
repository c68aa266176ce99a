"""Snapshots: equal data, equal digest; whole or not at all; checked on the bytes."""

from __future__ import annotations

import datetime as dt
import errno
import os
import re
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from kring.data.snapshot import load, take, verify
from kring.errors import Busy, DataError, IntegrityError, NotFound, Refused, StorageError
from kring.host.faults import Crash, FaultyFiles, Plan
from kring.host.files import LocalFiles
from kring.ports.files import Files
from kring.record.finding import CheckReport, CheckResult
from kring.record.snapshot import Snapshot

DAY = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
DAY_US = 1_704_067_200_000_000


def report(result: CheckResult = "pass") -> CheckReport:
    return CheckReport(
        contract="c",
        contract_digest="",
        source="feed.csv",
        source_digest="",
        rows=0,
        result=result,
        findings=(),
        checked=0,
        at=0,
    )


def taken(
    frame: pl.DataFrame, folder: Path, *, files: Files | None = None, time: str = "", id: str = "s_1", at: int = 7
) -> Snapshot:
    return take(
        frame,
        report=report(),
        profile=(),
        folder=folder,
        system="flights",
        source="feed.csv",
        commit="abc",
        at=at,
        as_of=at,
        time=time,
        id=id,
        tokenised=(),
        files=files or LocalFiles(),
    )


def frame(rows: int = 5, add: int = 0) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "time": [DAY + dt.timedelta(hours=row) for row in range(rows)],
            "number": [row + add if row % 4 else None for row in range(rows)],
            "text": [f"t{row % 3}" for row in range(rows)],
        }
    )


def parts(folder: Path) -> set[str]:
    return {path.name for path in (folder / "flights").glob("part-*")}


def test_what_was_taken_is_loaded(tmp_path: Path) -> None:
    snapshot = taken(frame(), tmp_path / "data", time="time")
    assert load(snapshot, folder=tmp_path / "data").equals(frame(), null_equal=True)
    verify(snapshot, folder=tmp_path / "data")
    assert (snapshot.rows, snapshot.delta_version, snapshot.table) == (5, 0, "flights")
    assert (snapshot.first, snapshot.last) == (DAY_US, DAY_US + 4 * 3_600_000_000)
    assert (snapshot.at, snapshot.as_of, snapshot.commit, snapshot.source) == (7, 7, "abc", "feed.csv")


def test_any_reader_of_delta_tables_reads_it(tmp_path: Path) -> None:
    first = taken(frame(5), tmp_path)
    second = taken(frame(9).drop("text"), tmp_path)
    path = str(tmp_path / "flights")
    assert DeltaTable(path).version() == second.delta_version == 1
    assert pl.scan_delta(path).collect().equals(frame(9).drop("text"))
    assert pl.scan_delta(path, version=first.delta_version).collect().equals(frame(5))
    assert DeltaTable(path).protocol().min_reader_version == 1
    assert [line.get("kring.snapshot") for line in DeltaTable(path).history()] == ["s_1", "s_1"]


def test_versions_stay_what_they_were(tmp_path: Path) -> None:
    snapshots = [taken(frame(rows), tmp_path) for rows in (3, 5, 3, 8, 5)]
    assert [snapshot.delta_version for snapshot in snapshots] == [0, 1, 2, 3, 4]
    for snapshot, rows in zip(snapshots, (3, 5, 3, 8, 5), strict=True):
        assert load(snapshot, folder=tmp_path).equals(frame(rows))
    assert snapshots[0].digest == snapshots[2].digest != snapshots[1].digest


def test_equal_data_is_pinned_again_and_not_written(tmp_path: Path) -> None:
    first, second = taken(frame(), tmp_path), taken(frame(), tmp_path, id="s_2", at=9)
    assert (second.delta_version, second.digest) == (first.delta_version, first.digest)
    assert len(parts(tmp_path)) == 1


@settings(max_examples=30, deadline=None)
@given(cuts=st.lists(st.integers(0, 50), max_size=4), data=st.data())
def test_equal_data_has_an_equal_digest(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int], data: st.DataObject
) -> None:
    """However the frame is cut in memory, whatever stands under its missing values."""
    numbers = data.draw(st.lists(st.one_of(st.none(), st.integers(-5, 5)), min_size=50, max_size=50))
    texts = data.draw(st.lists(st.one_of(st.none(), st.sampled_from(["", "a", "é"])), min_size=50, max_size=50))
    plain = pl.DataFrame({"n": pl.Series(numbers, dtype=pl.Int64), "t": pl.Series(texts, dtype=pl.String)})
    edges = [0, *sorted(cuts), 50]
    cut = pl.concat([plain[low:high] for low, high in pairwise(edges)], rechunk=False)
    hidden = cut.with_columns(n=pl.when(pl.col("n").is_not_null()).then(pl.col("n").fill_null(7)))
    folder = tmp_path_factory.mktemp("equal")
    digests = {taken(one, folder / name).digest for name, one in (("a", plain), ("b", cut), ("c", hidden))}
    assert len(digests) == 1
    other = plain.with_columns(n=pl.col("n").fill_null(99)) if None in numbers else plain.reverse().head(49)
    assert taken(other, folder / "a").digest not in digests
    shutil.rmtree(folder)


def test_a_type_or_a_name_changes_the_digest(tmp_path: Path) -> None:
    empty = frame(1).clear()
    digests = [
        taken(one, tmp_path).digest
        for one in (empty, empty.rename({"text": "Text2"}), empty.cast({"number": pl.Float64}), empty.drop("text"))
    ]
    assert len(set(digests)) == 4


def test_types_are_stored_as_tables_know_them(tmp_path: Path) -> None:
    odd = pl.DataFrame(
        {
            "category": pl.Series(["a", None], dtype=pl.Categorical),
            "enum": pl.Series(["a", "b"], dtype=pl.Enum(["a", "b"])),
            "nothing": pl.Series([None, None], dtype=pl.Null),
            "u8": pl.Series([255, 0], dtype=pl.UInt8),
            "u64": pl.Series([2**63 - 1, 0], dtype=pl.UInt64),
            "i8": pl.Series([-128, 127], dtype=pl.Int8),
            "f32": pl.Series([1.5, float("nan")], dtype=pl.Float32),
            "local": pl.Series([dt.datetime(2024, 1, 1), None], dtype=pl.Datetime("ms")),
            "york": pl.Series([dt.datetime(2024, 1, 1)] * 2).dt.replace_time_zone("America/New_York"),
            "date": [dt.date(2024, 1, 1), None],
            "bytes": [b"\0", None],
            "money": pl.Series(["1.50", "2.00"]).cast(pl.Decimal(10, 2)),
            "odd ,;{}()\n=é": [1.0, float("-inf")],
        }
    )
    taken(frame(), tmp_path)
    snapshot = taken(odd, tmp_path, time="york")
    back = load(snapshot, folder=tmp_path)
    assert back["category"].to_list() == ["a", None]
    assert back["u64"].to_list() == [2**63 - 1, 0]
    assert back["york"][0] == dt.datetime(2024, 1, 1, 5, tzinfo=dt.UTC)
    assert snapshot.first == DAY_US + 5 * 3_600_000_000
    assert back["local"].to_list() == [dt.datetime(2024, 1, 1), None]
    assert back["nothing"].dtype == pl.String
    assert pl.scan_delta(str(tmp_path / "flights")).collect().equals(back)
    assert load(taken(frame(), tmp_path), folder=tmp_path).equals(frame())


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        (pl.DataFrame({"a": [[1]]}), "a (List"),
        (pl.DataFrame({"a": [dt.timedelta(1)], "b": [1], "c": [dt.time(1)]}), "a (Duration"),
        (pl.DataFrame({"a": [1], "A": [2]}), "a, A"),
        (pl.DataFrame(), ""),
        (pl.DataFrame({"a": pl.Series([2**63], dtype=pl.UInt64)}), ""),
    ],
)
def test_what_no_table_can_hold_is_refused(tmp_path: Path, wrong: pl.DataFrame, named: str) -> None:
    with pytest.raises(DataError) as caught:
        taken(wrong, tmp_path)
    assert named in caught.value.got
    assert not list(tmp_path.iterdir())


def test_a_time_column_holds_timestamps(tmp_path: Path) -> None:
    assert taken(frame(), tmp_path, time="").first == 0
    assert taken(frame(1).clear(), tmp_path, time="time").last == 0
    assert taken(frame(2).with_columns(pl.col("time").dt.date()), tmp_path, time="time").first == DAY_US
    with pytest.raises(DataError, match="time column"):
        taken(frame(), tmp_path, time="text")


@pytest.mark.parametrize("system", ["", ".", "..", "../up", "a/b", "/tmp/x", ".hidden"])
def test_a_name_stays_in_its_folder(tmp_path: Path, system: str) -> None:
    with pytest.raises(DataError, match="name of a table"):
        take(
            frame(),
            report=report(),
            profile=(),
            folder=tmp_path,
            system=system,
            source="",
            commit="",
            at=0,
            as_of=0,
            time="",
            id="s_1",
            tokenised=(),
            files=LocalFiles(),
        )
    assert not list(tmp_path.iterdir())


def test_a_broken_contract_never_becomes_a_snapshot(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="broke its contract"):
        take(
            frame(),
            report=report("fail"),
            profile=(),
            folder=tmp_path,
            system="flights",
            source="",
            commit="",
            at=0,
            as_of=0,
            time="",
            id="s_1",
            tokenised=(),
            files=LocalFiles(),
        )
    assert not list(tmp_path.iterdir())
    assert taken(frame(), tmp_path).report.result == "pass"


# ---------------------------------------------------------------- verified on the bytes


def log_of(folder: Path, version: int) -> Path:
    return folder / "flights" / "_delta_log" / f"{version:020}.json"


def test_every_change_is_found(tmp_path: Path) -> None:
    snapshot = taken(frame(), tmp_path / "sound")
    taken(frame(7), tmp_path / "sound")
    (name,) = parts(tmp_path / "sound") - parts_of_version(tmp_path / "sound", 1)

    def flip(folder: Path) -> None:
        data = bytearray((folder / "flights" / name).read_bytes())
        data[len(data) // 2] ^= 1
        (folder / "flights" / name).write_bytes(bytes(data))

    def other_rows(folder: Path) -> None:
        frame(add=1).write_parquet(folder / "flights" / name)

    def edit(folder: Path, old: str, new: str) -> None:
        log_of(folder, 0).write_text(log_of(folder, 0).read_text().replace(old, new))

    changes = {
        "other bytes": flip,
        "other bytes in": other_rows,
        "missing": lambda folder: (folder / "flights" / name).unlink(),
        "can't be read in version 0": lambda folder: log_of(folder, 0).unlink(),
        "can't be read": lambda folder: log_of(folder, 0).write_text("{"),
        "other files or columns": lambda folder: edit(folder, '\\"number\\"', '\\"numbers\\"'),
        "none of its own": lambda folder: edit(folder, name, "../../../secret.parquet"),
    }
    for number, (says, change) in enumerate(changes.items()):
        folder = tmp_path / str(number)
        shutil.copytree(tmp_path / "sound", folder)
        verify(snapshot, folder=folder)
        change(folder)
        for act in (load, verify):
            with pytest.raises(IntegrityError, match=says):
                act(snapshot, folder=folder)


def parts_of_version(folder: Path, version: int) -> set[str]:
    uris = DeltaTable(str(folder / "flights"), version=version).file_uris()
    return {uri.rpartition("/")[2] for uri in uris}


def test_without_its_table_a_snapshot_is_not_found(tmp_path: Path) -> None:
    snapshot = taken(frame(), tmp_path / "data")
    with pytest.raises(NotFound, match="no table of snapshots"):
        load(snapshot, folder=tmp_path / "elsewhere")


# ---------------------------------------------------------------- whole or not at all


def check_table(folder: Path, before: Snapshot) -> None:
    """What was pinned is there, what is newest is whole, and the next snapshot sweeps up."""
    verify(before, folder=folder)
    newest = pl.scan_delta(str(folder / "flights")).collect()
    assert newest.equals(frame(5)) or newest.equals(frame(8))
    after = taken(frame(8), folder, id="s_3")
    assert load(after, folder=folder).equals(frame(8))
    verify(before, folder=folder)
    everything = set().union(*(parts_of_version(folder, v) for v in range(after.delta_version + 1)))
    assert parts(folder) == everything
    assert not list((folder / "flights").glob(".part-*"))


@pytest.mark.parametrize("kind", ["crash", "power", "full", "broken"])
def test_a_fault_at_every_operation(tmp_path: Path, kind: str) -> None:
    before = taken(frame(5), tmp_path / "sound")
    for nth in range(1, 60):
        folder = tmp_path / str(nth)
        shutil.copytree(tmp_path / "sound", folder)
        (folder / "flights" / f"part-{'0' * 64}.parquet").write_bytes(b"left by a killed process")
        plan = Plan(
            nth, crash=kind == "crash", power=kind == "power", error=errno.EIO if kind == "broken" else errno.ENOSPC
        )
        try:
            taken(frame(8), folder, files=FaultyFiles(LocalFiles(), plan), id="s_2")
        except (Crash, StorageError):
            check_table(folder, before)
        else:
            assert nth > 10
            return
    pytest.fail("taking a snapshot has no end")


def test_a_crash_while_the_first_one_is_taken(tmp_path: Path) -> None:
    for nth in range(1, 60):
        folder = tmp_path / str(nth)
        try:
            taken(frame(8), folder, files=FaultyFiles(LocalFiles(), Plan(nth, crash=True)))
        except Crash:
            assert load(taken(frame(8), folder), folder=folder).equals(frame(8))
            assert len(parts(folder)) == 1
        else:
            assert nth > 5
            return
    pytest.fail("taking a snapshot has no end")


def test_files_of_old_versions_are_never_swept(tmp_path: Path) -> None:
    snapshots = [taken(frame(rows), tmp_path) for rows in (1, 2, 3)]
    log_of(tmp_path, 0).rename(tmp_path / "aside")
    (tmp_path / "flights" / f"part-{'0' * 64}.parquet").write_bytes(b"")
    before = parts(tmp_path)
    with pytest.raises((IntegrityError, StorageError)):
        taken(frame(4), tmp_path)
    assert parts(tmp_path) >= before
    (tmp_path / "aside").rename(log_of(tmp_path, 0))
    taken(frame(4), tmp_path)
    for snapshot in snapshots:
        verify(snapshot, folder=tmp_path)


def test_two_snapshots_of_one_system_at_once(tmp_path: Path) -> None:
    taken(frame(), tmp_path)
    lock = LocalFiles().append(tmp_path / "flights" / ".lock")
    with pytest.raises(Busy):
        taken(frame(6), tmp_path)
    lock.close()
    taken(frame(6), tmp_path)


KILLED = """
import sys
from itertools import pairwise
from pathlib import Path
import polars as pl
from kring.data.snapshot import take
from kring.host.files import LocalFiles
from kring.record.finding import CheckReport
report = CheckReport(contract="c", contract_digest="", source="x", source_digest="", rows=0, result="pass",
                     findings=(), checked=0, at=0)
turn = int(sys.argv[2])
for number in range(1000):
    frame = pl.DataFrame({"number": pl.arange(0, 3000 + number, eager=True) + 10**6 * turn})
    snapshot = take(frame, report=report, profile=(), folder=Path(sys.argv[1]), system="flights", source="x", commit="",
                    at=1, as_of=1, time="", id=f"s_{number}", tokenised=(), files=LocalFiles())
    print(snapshot.delta_version, snapshot.digest, snapshot.rows, flush=True)
"""


def test_a_killed_process_leaves_whole_versions(tmp_path: Path) -> None:
    acknowledged: list[str] = []
    for turn in range(4):
        child = subprocess.Popen([sys.executable, "-c", KILLED, tmp_path, str(turn)], stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        lines = [child.stdout.readline() for _ in range(1 + turn)]
        child.kill()
        lines += child.stdout.read().splitlines(keepends=True)
        child.wait()
        child.stdout.close()
        acknowledged += [line for line in lines if line.endswith("\n")]
    pinned = taken(frame(), tmp_path)
    for line in acknowledged:
        version, digest, rows = line.split()
        record = {"delta_version": int(version), "digest": digest}
        assert load(replace(pinned, **record), folder=tmp_path).height == int(rows)
    versions = range(pinned.delta_version + 1)
    assert parts(tmp_path) == set().union(*(parts_of_version(tmp_path, version) for version in versions))
    assert len(acknowledged) >= 10


def test_only_the_owner_may_read(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        taken(frame(), tmp_path / "data")
    finally:
        os.umask(before)
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in (tmp_path / "data" / "flights").glob("part-*"))


def test_digests_name_no_time_host_or_path(tmp_path: Path) -> None:
    one = taken(frame(), tmp_path / "one", at=1, id="s_1")
    two = taken(frame(), tmp_path / "two", at=2, id="s_2")
    assert one.digest == two.digest
    assert re.fullmatch("[0-9a-f]{64}", one.digest)
    assert parts(tmp_path / "one") == parts(tmp_path / "two")
