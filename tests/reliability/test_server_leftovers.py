"""What a worker finds when it starts, or while it serves: R3 torn logs, R4 flipped bits, R17 a version that can't be
opened, R28 a version that is gone, R29 a wall clock that jumps."""

from __future__ import annotations

import os
import random
import shutil
from itertools import count
from pathlib import Path
from typing import Final

import msgspec
import pytest
from asking import Acknowledged, decisions
from benches import Bench

from kring.flow.serving import meeting as meetings
from kring.flow.serving.meeting import Meeting
from kring.host.files import LocalFiles
from kring.host.page import open_page
from living import lives, until

DAY_US: Final = 86_400_000_000
JUMPS: Final = {
    "a day back": -DAY_US,
    "a second back": -1_000_000,
    "an hour on": DAY_US // 24,
    "a year on": 365 * DAY_US,
}
CUTS: Final = 8


def segment(bench: Bench) -> Path:
    (found,) = (bench.home / "log").glob("*.log")
    return found


def test_a_log_torn_anywhere_is_gone_on_with(bench: Bench) -> None:
    whole = len(segment_bytes(bench))
    chance = random.Random(5)
    for cut in sorted({0, 1, whole - 1, *(chance.randrange(whole) for _ in range(CUTS))}):
        bench.begin(left_open=True)
        os.truncate(segment(bench), cut)
        kept = Acknowledged()
        pid = bench.born()
        said = bench.asked(kept)
        bench.ended(pid)
        assert {one.status for one in said} == {200}, (cut, bench.log.read_text())
        kept.hold_against(bench.system.folder, system="parcels")


def segment_bytes(bench: Bench) -> bytes:
    bench.begin(left_open=True)
    return segment(bench).read_bytes().rstrip(b"\0")  # what lies ready for the next frames is no part of it


def test_a_flipped_bit_before_the_end_is_named_and_never_served(bench: Bench) -> None:
    data = bytearray(segment_bytes(bench))
    data[len(data) // 3] ^= 4
    segment(bench).write_bytes(data)
    pid = bench.born()
    assert not lives(pid)
    told = bench.log.read_text()
    assert segment(bench).name in told, told
    assert "damaged at byte" in told, told
    assert "Traceback" not in told, told


def test_a_version_that_can_not_be_opened_changes_nothing(bench: Bench) -> None:
    """The pointer turns to it, and back, and on to another one that is whole: without a restart."""
    bench.begin(left_open=False)
    pid, kept = bench.born(), Acknowledged()
    meeting = Meeting(bench.home / "serve")
    before = (bench.home / "serve" / "systems.json").read_bytes()
    (served,) = meetings.read_systems(LocalFiles(), meeting)
    live = served.pointer.live
    for other, why in ((f"v_{'0' * 26}", "a version that is not there"), ("broken", "a version without its manifest")):
        broken = bench.home / "versions" / "broken"
        shutil.rmtree(broken, ignore_errors=True)
        shutil.copytree(bench.home / "versions" / live, broken)
        (broken / "manifest.json").unlink()
        pointed = msgspec.structs.replace(served, pointer=msgspec.structs.replace(served.pointer, live=other))
        turn(meeting, [pointed])
        until(lambda other=other: f"version {other} can't be" in bench.log.read_text(), why, log=bench.log)
        assert f"parcels stays with version {live}" in bench.log.read_text()
        assert {one.status for one in bench.asked(kept)} == {200}
    shutil.rmtree(broken)
    turn(meeting, [served])
    assert {one.status for one in bench.asked(kept)} == {200}
    assert {answer["version"] for answer in kept.answers.values()} == {live}
    bench.ended(pid)
    (bench.home / "serve" / "systems.json").write_bytes(before)
    kept.hold_against(bench.system.folder, system="parcels")


def turn(meeting: Meeting, systems: list[meetings.Served]) -> None:
    meetings.write(LocalFiles(), meeting.systems, systems)
    page = open_page(meeting.page, writer=True)
    page.bump("pointers")
    page.close()


@pytest.mark.parametrize(("how", "who"), [("deleted", "default"), ("a flipped bit", "/baseline")])
def test_a_version_that_is_lost_goes_on_while_it_is_open(bench: Bench, how: str, who: str) -> None:
    """And is named at the next start, which answers by what is whole below it, says so in every record, and takes the
    version back as soon as its bytes are there again."""
    bench.begin(left_open=False)
    pid, kept = bench.born(), Acknowledged()
    live = meetings.read_systems(LocalFiles(), Meeting(bench.home / "serve"))[0].pointer.live
    folder, aside = bench.home / "versions" / live, bench.home / "versions-aside"
    shutil.copytree(folder, aside)
    try:
        if how == "deleted":
            shutil.rmtree(folder)
        else:
            flip(next(path for path in sorted(folder.rglob("*.onnx"))))
        assert {one.status for one in bench.asked(kept)} == {200}
        bench.ended(pid)
        pid, meanwhile = bench.born(), Acknowledged()
        assert {one.status for one in bench.asked(meanwhile, first=100)} == {200}
        assert f"version {live} can't be verified" in bench.log.read_text()
        assert {answer["answered_by"].removeprefix(live) for answer in meanwhile.answers.values()} == {who}
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        aside.rename(folder)

    fresh = count(200, 100)

    def is_back() -> bool:
        now = Acknowledged()
        return {one.status for one in bench.asked(now, first=next(fresh))} == {200} and all(
            answer["answered_by"] == live for answer in now.answers.values()
        )

    until(is_back, "the version's return", log=bench.log)
    bench.ended(pid)
    kept.hold_against(bench.system.folder, system="parcels")


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("name", JUMPS)
def test_a_wall_clock_that_jumps_disturbs_nobody(bench: Bench, name: str, tmp_path: Path) -> None:
    """Deadlines, breakers and heartbeats are monotonic; ids are told apart by their sequence."""
    clock = tmp_path / "clock"
    clock.write_text("0")
    bench.begin(left_open=True)
    pid, kept = bench.born(clock=str(clock)), Acknowledged()
    for number, jump in enumerate((0, JUMPS[name], 0)):
        clock.write_text(str(jump))
        said = bench.asked(kept, first=100 * number)
        assert {one.status for one in said} == {200}, (jump, said, bench.log.read_text())
    bench.ended(pid)
    again = bench.born()
    assert {one.status for one in bench.asked(kept, first=500)} == {200}
    bench.ended(again)
    times = kept.hold_against(bench.system.folder, system="parcels")
    assert len(times) == len(list(decisions(bench.system.folder, system="parcels")))
