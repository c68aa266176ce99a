"""`kring new` from data and from answers: what is written runs as it is, and nothing is half-written."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kring.errors import DataError, StorageError, UserError
from kring.flow.checking import check_feed
from kring.flow.creating import create
from kring.flow.interviewing import interview
from kring.flow.project import open_project
from kring.frame.questions import Answers, Question
from kring.host.files import LocalAppender, LocalFiles
from kring.record.contract import Scalar
from kring.record.version import Output
from systems import kring

CHANCE = np.random.default_rng(3)
ROWS = 2400


def table(rows: int = ROWS) -> pl.DataFrame:
    """Invoices: paid late or not, in two languages' worth of odd names."""
    size = CHANCE.normal(size=rows)
    region = CHANCE.choice(["Süd", "Nord", "Ost"], rows)
    late = size + (region == "Süd") + CHANCE.normal(size=rows) / 2 > 0.4
    return pl.DataFrame(
        {
            "Nr": [f"B-{n:05d}" for n in range(rows)],
            "Bestellt am": [(date(1968, 1, 1) + timedelta(days=n)).strftime("%d.%m.%Y") for n in range(rows)],
            "Größe": [f"{one:.3f}".replace(".", ",") for one in size],
            "Region": region,
            "in": CHANCE.integers(0, 9, rows),
            "Zahlt spät": np.where(late, "ja", "nein"),
        }
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "rechnungen.csv"
    path.write_bytes(table().write_csv(separator=";").encode("windows-1252"))
    return path


def made(folder: Path, data: Path, target: str = "Zahlt spät") -> Path:
    create(folder, data=data, target=target, files=LocalFiles())
    return folder


def test_a_german_table_goes_round_without_editing(tmp_path: Path, data: Path) -> None:
    told = kring("new", tmp_path / "late", "--from", data, "--target", "Zahlt spät", "--json")
    assert told.code == 0
    assert told.json["left_out"] == {"Nr": "another text in nearly every row: it names the rows"}
    assert "cost" in told.json["open"]
    project = open_project(tmp_path / "late")
    assert project.system.data.positive == "ja"
    assert (project.system.data.split.by, project.system.data.time) == ("time", "Bestellt am")
    assert project.system.frame.open[:3] == ("goal", "decision", "owner")
    gone = kring("go", tmp_path / "late", "--json")
    assert gone.code == 0, gone
    assert gone.json["version"]["candidate"] in ("linear", "boosted", "forest")
    assert "open questions in kring.toml: goal" in kring("check", tmp_path / "late", "--dry-run").out


@pytest.mark.parametrize("ending", ["parquet", "jsonl", "tsv", "csv.gz"])
def test_every_kind_of_file_makes_a_system_whose_contract_holds(tmp_path: Path, ending: str) -> None:
    frame, path = table().with_columns(paid=pl.col("in") > 3), tmp_path / f"invoices.{ending}"
    if ending == "parquet":
        frame.write_parquet(path)
    elif ending == "jsonl":
        frame.write_ndjson(path)
    elif ending == "tsv":
        frame.write_csv(path, separator="\t")
    else:
        path.write_bytes(gzip.compress(frame.write_csv().encode()))
    project = open_project(made(tmp_path / "system", path))
    assert project.system.data.source == f"../invoices.{ending}"
    assert check_feed(project).report.result == "pass"


def test_the_data_may_lie_in_the_folder(tmp_path: Path, data: Path) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    (folder / "data.csv").write_bytes(data.read_bytes())
    made(folder, folder / "data.csv")
    assert open_project(folder).system.data.source == "data.csv"
    with pytest.raises(UserError, match="holds files already"):
        made(folder, folder / "data.csv")


def test_a_feed_of_tomorrow_with_a_new_category_only_warns(tmp_path: Path, data: Path) -> None:
    folder = made(tmp_path / "system", data)
    tomorrow = table(300).with_columns(Region=pl.lit("West"))
    path = tmp_path / "tomorrow.csv"
    path.write_bytes(tomorrow.write_csv(separator=";").encode())
    report = check_feed(open_project(folder), path=path).report
    assert report.result == "warn"
    assert {finding.column for finding in report.findings if finding.result == "warn"} == {"Region"}


class Scripted:
    """Answers by the key of the question; what is not in the script stays open."""

    def __init__(self, **script: str) -> None:
        self.script = script
        self.asked: list[str] = []

    def __call__(self, known: Answers, output: Output | None, labels: tuple[Scalar, ...]) -> Answers:
        return interview(self.answer, known=known, output=output, labels=labels)

    def answer(self, question: Question) -> str:
        self.asked.append(question.key)
        return self.script.get(question.key.replace(".", "_"), "")


def test_answers_are_kept_and_empty_ones_stay_open(tmp_path: Path, data: Path) -> None:
    people = Scripted(
        goal='Say "who" will pay late',
        owner="Ada",
        affects="customers, clerks, customers",
        cost_false_positive="10",
        cost_false_negative="2,5",
        currency="EUR",
        default="nein",
        people_release="Grace",
        feedback="No",
    )
    create(tmp_path / "s", data=data, target="Zahlt spät", files=LocalFiles(), interview=people)
    system = open_project(tmp_path / "s").system
    assert system.goal == 'Say "who" will pay late'
    assert system.affects == ("customers", "clerks")
    assert system.frame.cost == {"false_positive": 10.0, "false_negative": 2.5}
    assert (system.frame.default, system.frame.feedback, system.frame.currency) == ("nein", "none", "EUR")
    assert (system.accountable("release"), system.accountable("data")) == ("Grace", "Ada")
    assert system.frame.open == ("decision", "good_enough", "human_oversight", "outcome_after")


def test_an_interview_before_there_are_data_is_taken_over(tmp_path: Path, data: Path) -> None:
    folder = tmp_path / "later"
    first = Scripted(goal="Pay in time", owner="Ada", people_data="Bob", default="maybe")
    created = create(folder, data=None, target="", files=LocalFiles(), interview=first)
    assert next(iter(created.open)) == "data"
    second = Scripted(decision="remind or not")
    create(folder, data=data, target="Zahlt spät", files=LocalFiles(), interview=second)
    assert "goal" not in second.asked
    system = open_project(folder).system
    assert (system.goal, system.frame.decision, system.accountable("data")) == ("Pay in time", "remind or not", "Bob")
    assert system.frame.default is None
    assert "default" in system.frame.open


def test_several_labels_have_a_price_each(tmp_path: Path) -> None:
    path = tmp_path / "kinds.csv"
    kinds = np.array(["a b", "c", "d"])[np.arange(300) % 3]
    pl.DataFrame({"x": CHANCE.normal(size=300), "kind": kinds}).write_csv(path)
    people = Scripted(**{"cost_a b": "1", "cost_c": "2", "cost_d": "3"})
    create(tmp_path / "s", data=path, target="kind", files=LocalFiles(), interview=people)
    assert open_project(tmp_path / "s").system.frame.cost == {"a b": 1.0, "c": 2.0, "d": 3.0}


class Full(LocalFiles):
    """A disk that takes so many files and no more."""

    def __init__(self, room: int) -> None:
        self.room = room

    def write(self, path: Path, data: bytes) -> None:
        self.take()
        super().write(path, data)

    def append(self, path: Path) -> LocalAppender:
        self.take()
        return super().append(path)

    def take(self) -> None:
        if self.room == 0:
            raise StorageError("the disk is full")
        self.room -= 1


@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize("room", [0, 1])
def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path, data: Path, room: int, there: bool) -> None:
    folder = tmp_path / "place" / "system"
    (folder if there else folder.parent).mkdir(parents=True)
    with pytest.raises(StorageError):
        create(folder, data=data, target="Zahlt spät", files=Full(room))
    assert [path for path in folder.parent.rglob("*") if path.is_file()] == []
    assert folder.exists() == there


COLUMNS = st.sampled_from(("whole", "real", "word", "flag", "day", "comma", "gap", "code", "odd"))
CELLS = {
    "whole": lambda n, chance: str(int(chance.integers(-5, 200))),
    "real": lambda n, chance: f"{chance.normal() * 10.0 ** int(chance.integers(-3, 9)):.4g}",
    "word": lambda n, chance: str(chance.choice(["x", "y'z", 'q"r', "ü, €", "#", "no"])),
    "flag": lambda n, chance: str(chance.choice(["TRUE", "false", "yes", "0"])),
    "day": lambda n, chance: (date(1950, 1, 1) + timedelta(days=int(chance.integers(0, 30_000)))).strftime("%d.%m.%Y"),
    "comma": lambda n, chance: f"{chance.normal():.2f}".replace(".", ","),
    "gap": lambda n, chance: "" if chance.random() < 0.4 else str(chance.choice(["7", "n/a", "12.5"])),
    "code": lambda n, chance: f"{n:06d}",
    "odd": lambda n, chance: str(chance.choice(["1", "two", "2020-01-01", "", " ", "NaN", "inf", "\t"])),
}
NAMES = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cs", "Cc", "Cf", "Zl", "Zp", "Zs", "Co", "Cn")), min_size=1
)


@st.composite
def tables(draw: st.DrawFn) -> tuple[dict[str, list[str]], str]:
    kinds = draw(st.lists(COLUMNS, min_size=2, max_size=7))
    names = draw(st.lists(NAMES.map(lambda name: name[:30]), min_size=len(kinds), max_size=len(kinds), unique=True))
    rows, seed = draw(st.integers(45, 120)), draw(st.integers(0, 2**20))
    chance = np.random.default_rng(seed)
    columns = {name: [CELLS[kind](n, chance) for n in range(rows)] for name, kind in zip(names, kinds, strict=True)}
    return columns, draw(st.sampled_from(names))


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    def numbered() -> Iterator[Path]:
        while True:
            yield tmp_path_factory.mktemp("table")

    return numbered()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(made_up=tables())
def test_whatever_is_written_can_be_read_and_holds_on_its_own_data(
    places: Iterator[Path], made_up: tuple[dict[str, list[str]], str]
) -> None:
    columns, target = made_up
    place = next(places)
    pl.DataFrame(columns).write_csv(place / "data.csv", quote_style="always")
    try:
        create(place / "system", data=place / "data.csv", target=target, files=LocalFiles())
    except DataError:
        assert [path.name for path in place.iterdir()] == ["data.csv"]
        return
    project = open_project(place / "system")
    report = check_feed(project).report
    assert report.result == "pass", [finding for finding in report.findings if finding.result != "pass"]
