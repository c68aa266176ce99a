"""Every kind of bad data, folder and answer to `kring new`: told with a remedy, and nothing is written."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
from commands import contents, kring

ROWS: Final = 200
GOOD: Final = "a,b,y\n" + "".join(f"{n * 37 % 101},{n * n % 17},{['no', 'yes'][n * n % 7 % 2]}\n" for n in range(ROWS))
ANSWERS: Final = 16


def raw(data: bytes, name: str = "data.csv") -> Callable[[Path], Path]:
    def make(place: Path) -> Path:
        (place / name).write_bytes(data)
        return place / name

    return make


def lines(header: str, row: Callable[[int], str], rows: int = ROWS) -> Callable[[Path], Path]:
    return raw((header + "\n" + "".join(row(number) + "\n" for number in range(rows))).encode())


def folder_of_nothing(place: Path) -> Path:
    (place / "data").mkdir()
    return place / "data"


DATA: Final[dict[str, tuple[Callable[[Path], Path], str]]] = {
    "missing": (lambda place: place / "data.csv", "no such file"),
    "a folder of nothing": (folder_of_nothing, "holds no files"),
    "empty": (raw(b""), "empty"),
    "a header alone": (raw(b"a,y\n"), "too few rows"),
    "one row": (raw(b"a,y\n1,2\n"), "too few rows"),
    "binary": (raw(bytes(range(256)) * 20), "no text file"),
    "a picture": (raw(b"\x89PNG\r\n" + bytes(99)), "a picture"),
    "a spreadsheet": (raw(b"PK\x03\x04" + bytes(99), "data.xlsx"), "not read"),
    "no Parquet": (raw(b"hello", "data.parquet"), "not a Parquet file"),
    "a damaged archive": (raw(b"\x1f\x8b\x08garbage", "data.csv.gz"), "damaged"),
    "broken JSON": (raw(b'{"y": 1}\n{"y": \n', "data.jsonl"), "JSON object"),
    "UTF-16 cut off": (raw(GOOD.encode("utf-16")[:-1]), "UTF-16"),
    "ragged": (raw(GOOD.encode() + b"1,2,3,4\n"), "number of fields"),
    "a name twice": (lines("y,a,a", lambda n: f"{n % 2},1,2"), "share a name"),
    "a name missing": (lines("y,", lambda n: f"{n % 2},1"), "without a name"),
    "a name of blanks": (lines("y,\u200b", lambda n: f"{n % 2},{n % 9}"), "can't be seen"),
    "no such target": (lines("a,Y2", lambda n: f"{n % 9},{n % 2}"), "no such column"),
    "constant": (lines("a,y", lambda n: f"{n % 9},7"), "same in every row"),
    "all missing": (lines("a,y", lambda n: f"{n % 9},"), "missing in every row"),
    "another text each": (lines("a,y", lambda n: f"{n % 9},t{n}"), "too many different texts"),
    "a moment": (lines("a,y", lambda n: f"{n % 9},2024-01-{1 + n % 28:02d}"), "a moment"),
    "too rare": (lines("a,y", lambda n: f"{n % 9},{'b' if n else 'a'}"), "too rare"),
    "another unit": (lines("a,y", lambda n: f"{n * 37 % 101 * 2.54:.2f},{n * 37 % 101}"), "no column is left"),
    "the target alone": (lines("y", lambda n: f"{n * 37 % 101}"), "no column is left"),
}


@pytest.mark.parametrize("name", DATA)
def test_bad_data_leave_no_folder(tmp_path: Path, name: str) -> None:
    make, words = DATA[name]
    data = make(tmp_path)
    before = contents(tmp_path)
    answer = kring("new", tmp_path / "system", "--from", data, "--target", "y")
    assert answer.exit == 2
    assert words in answer.text
    assert answer.error["next"] or answer.error["allowed"]
    assert contents(tmp_path) == before
    assert not (tmp_path / "system").exists()


@pytest.mark.parametrize("there", ["notes.txt", "kring.toml", ".kring"])
def test_a_folder_with_files_is_left_alone(tmp_path: Path, there: str) -> None:
    data = raw(GOOD.encode())(tmp_path)
    (tmp_path / "system").mkdir()
    (tmp_path / "system" / there).write_text("mine\n")
    before = contents(tmp_path)
    answer = kring("new", tmp_path / "system", "--from", data, "--target", "y")
    assert (answer.exit, answer.error["code"]) == (2, "use")
    assert there in answer.error["got"]
    assert contents(tmp_path) == before


def test_a_folder_that_is_a_file_or_that_may_not_be_made(tmp_path: Path) -> None:
    data = raw(GOOD.encode())(tmp_path)
    assert kring("new", data, "--from", data, "--target", "y").exit == 2
    before = contents(tmp_path)
    answer = kring("new", data / "below", "--from", data, "--target", "y")
    assert answer.exit in (2, 3)
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    "words", [(), ("--target", "y"), ("--interview", "--target", "y"), ("--from",), ("--from", "x.csv", "more")]
)
def test_wrong_use(tmp_path: Path, words: tuple[str, ...]) -> None:
    answer = kring("new", tmp_path / "system", *words)
    assert answer.exit == 2
    assert not (tmp_path / "system").exists()


def test_without_a_target_the_columns_are_told(tmp_path: Path) -> None:
    answer = kring("new", tmp_path / "system", "--from", raw(GOOD.encode())(tmp_path))
    assert (answer.exit, answer.error["allowed"]) == (2, "a, b, y")


STDIN: Final = {
    "ends early": (b"goal\n\n", "ended before"),
    "nothing": (b"", "ended before"),
    "a price that is none": (b"\n\n\ncheap\n" + b"\n" * ANSWERS, "does not answer"),
    "a negative price": (b"\n\n\n-1\n" + b"\n" * ANSWERS, "does not answer"),
    "signs that can't be seen": (b"go\x07al\n" + b"\n" * ANSWERS, "does not answer"),
    "not UTF-8": (b"\xff\xfe\n" + b"\n" * ANSWERS, "UTF-8"),
    "a default that is no label": (b"\n" * 7 + b"perhaps\n" + b"\n" * ANSWERS, "does not answer"),
}


@pytest.mark.parametrize("name", STDIN)
def test_bad_answers_write_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    data, (given, words) = raw(GOOD.encode())(tmp_path), STDIN[name]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given), encoding="utf-8"))
    answer = kring("new", tmp_path / "system", "--from", data, "--target", "y", "--interview")
    assert answer.exit == 2
    assert words in answer.text
    assert not (tmp_path / "system").exists()


def test_enough_empty_answers_leave_every_question_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = raw(GOOD.encode())(tmp_path)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\n" * ANSWERS), encoding="utf-8"))
    answer = kring("new", tmp_path / "system", "--from", data, "--target", "y", "--interview")
    assert answer.exit == 0
    assert set(answer.object["open"]) >= {"goal", "decision", "owner", "cost", "default", "feedback"}


def test_an_interrupted_interview_writes_nothing(tmp_path: Path) -> None:
    data = raw(GOOD.encode())(tmp_path)
    words = ["new", tmp_path / "system", "--from", data, "--target", "y", "--interview"]
    asked = subprocess.Popen(
        [sys.executable, "-m", "kring", *map(str, words)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert asked.stdin is not None
    assert asked.stderr is not None
    asked.stdin.write(b"a goal\n")
    asked.stdin.flush()
    while b"decided" not in (line := asked.stderr.readline()):
        assert line, "no question was asked"
    asked.send_signal(signal.SIGINT)
    _, told = asked.communicate(timeout=60)
    assert asked.returncode == 130, told
    assert [path.name for path in tmp_path.iterdir()] == ["data.csv"]


def test_five_thousand_columns_stay_readable(tmp_path: Path) -> None:
    names = ",".join(f"c{n}" for n in range(5000))
    rows = "".join(",".join(str((n * 31 + c * 17) % 97) for c in range(5000)) + f",{n % 3 % 2}\n" for n in range(60))
    data = raw(f"{names},y\n{rows}".encode())(tmp_path)
    answer = kring("new", tmp_path / "system", "--from", data, "--target", "y")
    assert answer.exit == 0, answer.text
    assert len(answer.object["inputs"]) == 200
    config = (tmp_path / "system" / "kring.toml").read_text()
    assert config.count("\n") < 500
    assert "columns: not among the 200" in config
    assert (tmp_path / "system" / "contract.odcs.yaml").stat().st_size < 1 << 20
