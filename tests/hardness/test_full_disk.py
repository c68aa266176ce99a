"""A full disk: the command says so and ends with 3, the ledger stays whole, and with space it succeeds."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from commands import Answer, Spawned, kring, leftovers
from parcels import LIVE_FROM, LIVE_TO, rows, write_csv

COMMANDS: Final = {
    "check": ("check",),
    "train": ("train",),
    "release": ("release",),
    "replay": ("replay", "--from", LIVE_FROM, "--to", LIVE_TO),
    "score": ("score", "DIR/feed.csv", "DIR", "--out", "DIR/o.csv", "--force"),
    "restore": ("snapshot", "restore", "latest"),
    "clean": ("clean", "--accept", "all"),
}
MIB: Final = 1 << 20
LEFT: Final = (0, 40_000, 120_000)
LARGEST: Final = (2_000, 30_000)


@pytest.fixture
def small_disk(made: Path, tmp_path: Path) -> Iterator[Path]:
    """The system on a disk of its own, with 16 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = shutil.which("mount")
    if mount is None or os.geteuid() != 0:
        pytest.skip("needs root to mount a small disk")
    done = subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip(f"this machine mounts no small disk: {done.stderr.decode().strip()}")
    try:
        yield Path(shutil.copytree(made, disk / "parcels"))
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def fill(disk: Path, *, left: int) -> Path:
    """Fill the disk but for `left` bytes."""
    ballast = disk / "ballast"
    space = os.statvfs(disk)
    ballast.write_bytes(b"\0" * max(0, space.f_bavail * space.f_frsize - left))
    return ballast


def told(answer: Answer) -> None:
    """Exit 3, the disk is named, and what to do."""
    assert answer.exit == 3, answer
    assert answer.error["code"] in ("no_room", "storage", "unavailable"), answer
    assert any(word in answer.text.lower() for word in ("space", "disk", "too large")), answer
    assert answer.error["next"], answer


def worded(name: str, folder: Path) -> list[str]:
    """The command's words for the system in `folder`; for `clean` there is something to mend in it."""
    if name == "clean":
        table = rows()
        for row in table[::9]:
            row["zone"] = f" {row['zone'].upper()} "
        write_csv(folder / "feed.csv", table)
    words = [word.replace("DIR", str(folder)) for word in COMMANDS[name]]
    return words if str(folder) in words else [*words, str(folder)]


@pytest.mark.parametrize("left", LEFT)
@pytest.mark.parametrize("name", COMMANDS)
def test_a_full_disk(name: str, left: int, small_disk: Path, tmp_path: Path) -> None:
    words = worded(name, small_disk)
    ballast = fill(small_disk.parent, left=left)
    answer = Spawned(words, tmp_path / "out").answer()
    if left == 0 or answer.exit:
        told(answer)
    ballast.unlink()
    assert kring("status", small_disk, "--verify").exit == 0
    again = kring(*words)
    assert again.exit == 0, again
    assert leftovers(small_disk) == []
    assert kring("status", small_disk, "--verify").exit == 0


@pytest.mark.parametrize("largest", LARGEST)
@pytest.mark.parametrize("name", COMMANDS)
def test_files_that_may_not_grow(name: str, largest: int, released: Path, tmp_path: Path) -> None:
    words = worded(name, released)
    told(Spawned(words, tmp_path / "out", largest_file=largest).answer())
    assert kring("status", released, "--verify").exit == 0
    again = kring(*words)
    assert again.exit == 0, again
    assert leftovers(released) == []


@pytest.mark.parametrize("largest", [500, 2_000])
def test_a_system_that_does_not_fit_is_not_begun(largest: int, fresh: Path, tmp_path: Path) -> None:
    words = ["new", str(tmp_path / "system"), "--from", str(fresh / "feed.csv"), "--target", "late"]
    told(Spawned(words, tmp_path / "out", largest_file=largest).answer())
    assert not (tmp_path / "system").exists()
    assert leftovers(tmp_path) == []
    assert kring(*words).exit == 0
