"""A file scored: every row answered or told why not, on record before the answers appear, whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fruit import fruit_feed, write_fruit
from kring.errors import Busy, DataError, NotFound, StorageError, UserError
from kring.flow import adapters, history
from kring.flow.deciding import open_decider
from kring.flow.project import Project, open_project
from kring.flow.replaying.feed import load_feed
from kring.flow.scoring import input as score_input
from kring.flow.scoring import score as scoring
from kring.flow.scoring.order import Order, ranked_by
from kring.flow.scoring.output import strengths
from kring.flow.scoring.score import Answers, file_decider, live_pointer, open_all, score, work_list
from kring.flow.tracing import trace
from kring.host.faults import Crash, FaultyFiles, Plan
from kring.host.files import LocalFiles
from kring.metrics.ids import decision_place, decision_raw
from kring.record.decision import Decisions
from kring.record.event import Segment
from kring.record.scored import Scored
from kring.serve.decider import REJECTED, UNANSWERED
from kring.sources import csv_text
from systems import day, kring, loans_feed, write_loans, write_parcels

TOLD = ["decision_id", "decision", "probability", "version", "guards", "reason"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Loans with a live version; never to be changed."""
    folder = write_loans(tmp_path_factory.mktemp("scored") / "loans", feed=loans_feed(1500))
    assert kring("go", folder).code == 0
    return folder


@pytest.fixture
def loans(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "loans"))


def rows(n: int = 300) -> pl.DataFrame:
    """What is known of requests when they come in."""
    return loans_feed(n).drop("repaid", "settled_at")


def asked(folder: Path, frame: pl.DataFrame, *, name: str = "in.parquet", out: str = "out.parquet") -> Order:
    path = folder.parent / name
    frame.write_parquet(path) if name.endswith("parquet") else frame.write_csv(path)
    return Order(path=path, out=folder.parent / out)


def logged(project: Project) -> list[Decisions]:
    log = adapters.read_log(project.home.log, system=project.system.name)
    return [one.record for one in log.read() if isinstance(one.record, Decisions)]


def partial(order: Order) -> Path:
    return order.out.with_name(f".{order.out.name}.part")


def test_every_row_is_answered_in_order_and_on_record(loans: Path) -> None:
    project, frame = open_project(loans), rows()
    order = asked(loans, frame.with_columns(note=pl.lit("extra")))
    scored = score(project, order)
    answers = pl.read_parquet(order.out)
    assert answers.columns == [*frame.columns, "note", *TOLD]
    assert answers.select(frame.columns).equals(frame)
    assert (scored.rows, scored.decided, scored.written) == (300, 300, 300)
    assert (scored.first_id, scored.last_id) == (answers["decision_id"][0], answers["decision_id"][-1])
    assert scored.output_digest == hashlib.sha256(order.out.read_bytes()).hexdigest()
    assert scored.source_digest == hashlib.sha256(order.path.read_bytes()).hexdigest()
    (record,) = logged(project)
    assert (record.kind, record.batch, record.rows) == ("batch", scored.id, list(range(300)))
    assert record.outputs["probability"] == answers["probability"].to_list()
    assert record.outputs["decision"] == answers["decision"].to_list()
    with project.ledger() as ledger:
        assert history.get(ledger, Scored, scored.id) == scored
        assert sum(segment.decisions for segment in history.all_of(ledger, Segment)) == 300
        ledger.verify()


def test_score_and_replay_decide_alike(loans: Path) -> None:
    project = open_project(loans)
    pointer = live_pointer(project)
    opened = open_all(project, pointer)
    feed = load_feed(project, start=0, end=day(100))
    replayed = open_decider(project, pointer, opened, clock=project.clock)
    (theirs,) = replayed.decide(feed.batch(np.arange(feed.n)), at=day(70), kind="batch")
    score(project, Order(path=loans / "feed.csv", out=loans.parent / "out.parquet"))
    (mine,) = logged(project)
    assert mine.outputs == theirs.record.outputs
    assert mine.inputs == theirs.record.inputs
    assert (mine.version, mine.answered_by) == (theirs.record.version, theirs.record.answered_by)


def test_a_decision_of_a_batch_is_traced_to_its_file(loans: Path) -> None:
    project = open_project(loans)
    scored = score(project, asked(loans, rows()))
    nodes = {node.kind: node for node in trace(project, scored.last_id).nodes}
    assert nodes["decision"].facts["row"] == "300"
    assert "amount" in nodes["decision"].facts["inputs"]
    assert scored.source_digest in nodes["batch"].facts["source"]
    assert scored.output_digest in nodes["batch"].facts["answers"]
    assert nodes["version"].id == scored.version
    assert [node.kind for node in trace(project, scored.id).nodes][:2] == ["batch", "version"]


def test_identifiers_are_tokens_on_record_and_the_persons_own_in_the_answers(loans: Path) -> None:
    project = open_project(loans)
    order = asked(loans, rows(50))
    score(project, order)
    assert pl.read_parquet(order.out)["email"].str.contains("@").all()
    assert not any("@" in str(value) for record in logged(project) for value in record.inputs["email"])
    assert all(b"@example.org" not in file.read_bytes() for file in loans.rglob("*") if file.match(".kring/log/*"))


BROKEN = rows(4).with_columns(amount=pl.Series(["10", "none of it", "-3", "20"]), income=pl.Series(["1", "2", "x", ""]))
FIRED = [None, "amount.type", "amount.range, income.type", None]


@pytest.mark.parametrize("out_of_contract", ["flag", "reject"])
def test_rows_that_break_the_contract_are_told(loans: Path, out_of_contract: str) -> None:
    text = (loans / "kring.toml").read_text()
    (loans / "kring.toml").write_text(text.replace('"flag"', f'"{out_of_contract}"'))
    project, order = open_project(loans), asked(loans, BROKEN, name="in.csv")
    scored = score(project, order)
    answers = pl.read_parquet(order.out)
    assert [sorted(found.split(", ")) if found else None for found in answers["guards"]] == [
        sorted(found.split(", ")) if found else None for found in FIRED
    ]
    assert answers["amount"].to_list() == BROKEN["amount"].to_list()
    rejected = out_of_contract == "reject"
    assert answers["decision"].is_null().to_list() == [False, rejected, rejected, False]
    assert answers["decision_id"].n_unique() == 4
    assert (scored.decided, scored.rejected, scored.flagged) == ((2, 2, 0) if rejected else (4, 0, 2))
    if rejected:
        assert answers["reason"][1] == "rejected: the row breaks the contract"
        assert {record.answered_by for record in logged(project)} == {scored.version, REJECTED}
        assert [record.rows for record in logged(project)] == [[0, 3], [1, 2]]
    for row, id in enumerate(answers["decision_id"]):
        assert trace(project, id).nodes[0].facts["row"] == str(row + 1)


def test_a_row_that_nobody_can_answer_says_so_and_ends_nothing(loans: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project, order = open_project(loans), asked(loans, rows(6))
    real = file_decider

    def without_default(*given: object) -> object:
        decider = real(*given)  # type: ignore[arg-type]
        live = decider.versions[decider.pointer.live]

        def fails(frame: pl.DataFrame) -> object:
            if float(frame["amount"].max()) > limit:  # type: ignore[arg-type]
                raise DataError("asleep")
            return live.prepare(frame)

        dumb = replace(live, prepare=fails)  # type: ignore[arg-type]
        return replace(decider, default=None, versions={live.version: dumb}, baseline=dumb)

    limit = -1.0
    monkeypatch.setattr(scoring, "file_decider", without_default)
    scored = score(project, order)
    answers = pl.read_parquet(order.out)
    assert (scored.decided, scored.unanswered, scored.rows) == (0, 6, 6)
    assert answers["decision"].null_count() == answers["version"].null_count() == 6
    assert all(reason.startswith("nobody answered: ") and "asleep" in reason for reason in answers["reason"])
    assert {record.answered_by for record in logged(project)} == {UNANSWERED}


@given(
    st.lists(st.none() | st.sampled_from([0.1, 0.5, 0.9, float("nan")]) | st.floats(0, 1), max_size=40),
    st.integers(1, 50),
)
def test_a_work_list_is_what_sorting_gives(values: list[float | None], most: int) -> None:
    whole = pl.DataFrame({"row": range(len(values)), "p": pl.Series(values, dtype=pl.Float64)})
    parts = [whole[at : at + 7] for at in range(0, len(values), 7)]
    found = [row for part in work_list(map(Answers, parts), most, by="p") for row in part.rows["row"]]
    answered = [row for row, value in enumerate(values) if value is not None and value == value]  # noqa: PLR0124
    assert found == sorted(answered, key=lambda row: -float(values[row] or 0))[:most]


def test_chunks_change_nothing_but_where_decisions_lie(loans: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = open_project(loans)
    whole = asked(loans, rows(), out="whole.parquet")
    score(project, whole)
    monkeypatch.setattr(score_input, "CHUNK", 64)
    cut = asked(loans, rows(), out="cut.parquet")
    scored = score(project, cut)
    plain = [column for column in pl.read_parquet(whole.out).columns if column != "decision_id"]
    assert pl.read_parquet(cut.out).select(plain).equals(pl.read_parquet(whole.out).select(plain))
    records = [record for record in logged(project) if record.batch == scored.id]
    assert [record.n for record in records] == [64, 64, 64, 64, 44]
    assert [row for record in records for row in record.rows] == list(range(300))


def test_no_more_chunks_are_held_than_work_needs(loans: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(score_input, "CHUNK", 10)
    project = open_project(loans)
    pulled, handed, most = 0, 0, 0
    chunks, settled = score_input.Rows.chunks, scoring.settled

    def pull(self: score_input.Rows) -> object:
        nonlocal pulled, most
        for chunk in chunks(self):
            pulled += 1
            most = max(most, pulled - handed)
            yield chunk

    def hand(*given: object) -> object:
        nonlocal handed
        handed += 1
        return settled(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(score_input.Rows, "chunks", pull)
    monkeypatch.setattr(scoring, "settled", hand)
    score(project, asked(loans, rows(1000)))
    assert (pulled, handed) == (100, 100)
    assert most <= scoring.WORKERS + 1


def test_a_work_list_from_the_command_line(loans: Path) -> None:
    order = asked(loans, rows(), name="in.csv", out="best.xlsx")
    told = kring("score", order.path, loans, "--out", order.out, "--top", 5, "--keep", "region", "--json")
    assert told.code == 0, told.err
    assert told.json["scored"]["written"] == 5
    assert told.json["scored"]["rows"] == 300
    assert order.out.read_bytes()[:2] == b"PK"
    again = kring("score", order.path, loans, "--out", order.out)
    assert again.code == 2
    assert "--force" in again.err
    assert kring("score", order.path, loans, "--out", order.out, "--force").code == 0


def test_of_several_answers_one_is_chosen_for_the_order(tmp_path: Path) -> None:
    folder = write_fruit(tmp_path / "fruit")
    assert kring("go", folder).code == 0
    project, order = open_project(folder), asked(folder, fruit_feed(200).drop("kind"))
    with pytest.raises(UserError, match="in several ways") as refused:
        score(project, replace(order, top=5))
    assert refused.value.allowed == "probability.apple, probability.pear, probability.quince, ripe"
    with pytest.raises(UserError, match="by this column") as refused:
        score(project, replace(order, top=5, by="probability.aple"))
    assert "probability.apple" in refused.value.next
    with pytest.raises(UserError, match="only a work list") as refused:
        score(project, replace(order, by="probability.pear"))
    assert "--top" in refused.value.next
    assert logged(project) == []
    told = kring("score", order.path, folder, "--out", order.out, "--top", 5, "--by", "probability.pear")
    assert told.code == 0, told.err
    best = pl.read_parquet(order.out)["probability.pear"]
    assert best.to_list() == sorted(logged(project)[0].outputs["probability.pear"], reverse=True)[:5]


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ({"decision": pl.String(), "probability": pl.Float64()}, ["probability"]),
        ({"decision": pl.Float64(), "value": pl.Float64()}, ["value"]),
        ({"decision": pl.Float64()}, ["decision"]),
        ({"decision": pl.String(), "said": pl.String(), "sure": pl.Float64()}, ["sure"]),
        ({"decision": pl.String(), "said": pl.String(), "yes": pl.Boolean()}, []),
    ],
)
def test_a_work_list_is_ordered_by_numbers(answers: dict[str, pl.DataType], expected: list[str]) -> None:
    schema = pl.Schema({"decision_id": pl.String(), **answers, "version": pl.String(), "reason": pl.String()})
    assert strengths(schema) == expected
    order = Order(path=Path("in.csv"), out=Path("out.csv"), top=1)
    if expected:
        assert ranked_by(order, schema) == expected[0]
        return
    with pytest.raises(UserError, match="have no order") as refused:
        ranked_by(order, schema)
    assert "--top" in refused.value.next


def test_a_csv_file_keeps_its_texts_and_gives_what_parquet_gives(loans: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_text, "BLOCK", 5000)
    project = open_project(loans)
    frame = rows().with_columns(note=pl.Series(["=1+1", 'a "b", c', "two\nlines", "", None, "-5"] * 50))
    score(project, asked(loans, frame, name="in.csv", out="out.csv"))
    assert len(logged(project)) > 3
    score(project, asked(loans, frame, name="in.parquet", out="out.parquet"))
    mine, theirs = (
        pl.read_csv(loans.parent / "out.csv", infer_schema=False),
        pl.read_parquet(loans.parent / "out.parquet"),
    )
    given = pl.read_csv(loans.parent / "in.csv", infer_schema=False)
    assert mine.select(frame.columns).drop("note").equals(given.drop("note"))
    assert mine["note"].to_list() == ["'=1+1", *frame["note"][1:6]] * 50
    assert mine["decision"].equals(theirs["decision"])
    assert mine["probability"].cast(pl.Float64).equals(theirs["probability"])
    assert mine["decision_id"].n_unique() == 300


def test_a_line_that_is_no_row_is_named_before_any_work(loans: Path) -> None:
    order = asked(loans, rows(), name="in.csv")
    lines = order.path.read_text().splitlines()
    order.path.write_text("\n".join([*lines[:200], lines[200] + ",more", *lines[201:]]))
    with pytest.raises(DataError, match="another number of fields") as refused:
        score(open_project(loans), order)
    assert refused.value.line == 201
    assert logged(open_project(loans)) == []


def test_a_file_without_rows_gives_headings(loans: Path) -> None:
    order = asked(loans, rows(1).clear())
    scored = score(open_project(loans), order)
    assert (scored.rows, scored.first_id) == (0, "")
    assert pl.read_parquet(order.out).columns == [*rows(1).columns, *TOLD]


def test_many_files_are_one_batch(loans: Path) -> None:
    folder = loans.parent / "parts"
    folder.mkdir()
    for part in range(3):
        rows()[part * 100 : part * 100 + 100].write_parquet(folder / f"{part}.parquet")
    order = Order(path=folder, out=loans.parent / "out.csv")
    assert score(open_project(loans), order).rows == 300
    assert pl.read_csv(order.out)["amount"].to_list() == rows()["amount"].to_list()


@pytest.mark.parametrize(
    ("change", "out", "expected"),
    [
        (lambda frame: frame.drop("amount", "region"), "o.csv", "lacks 2 of the"),
        (lambda frame: frame.with_columns(decision=1), "o.csv", "by the names of the answers: decision"),
        (lambda frame: frame.with_columns(many=pl.lit([1, 2])), "o.csv", ".csv can't hold the column many"),
        (lambda frame: frame, "o.json", "can't be written in this format"),
        (lambda frame: frame, "nowhere/o.csv", "folder of the answers does not exist"),
        (lambda frame: frame, "in.parquet", "would replace the rows"),
        (lambda frame: frame, "loans", "can't be written in this format"),
    ],
)
def test_a_wrong_order_is_refused_before_any_work(loans: Path, change: object, out: str, expected: str) -> None:
    project = open_project(loans)
    order = replace(asked(loans, change(rows(10)), out=out), force=True)  # type: ignore[operator]
    before = {path: path.read_bytes() for path in loans.parent.rglob("*") if path.is_file()}
    with pytest.raises(UserError, match=expected):
        score(project, order)
    after = {path: path.read_bytes() for path in loans.parent.rglob("*") if path.is_file()}
    assert {path.name: data for path, data in after.items()} == {path.name: data for path, data in before.items()}


def test_columns_that_are_not_there_are_named(loans: Path) -> None:
    with pytest.raises(DataError, match=r"(amount, region|region, amount)"):
        score(open_project(loans), asked(loans, rows(5).drop("amount", "region")))
    with pytest.raises(DataError, match="no column 'amuont'") as refused:
        score(open_project(loans), replace(asked(loans, rows(5)), keep=("amuont",)))
    assert "amount" in refused.value.next


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("in.csv", b""),
        ("in.csv", b"\x00\x01\xff\xfe"),
        ("in.parquet", b"PAR1 cut"),
        ("in.jsonl", b"{]"),
        ("in.txt", b"a"),
    ],
)
def test_what_is_no_table_is_refused(loans: Path, name: str, data: bytes) -> None:
    path = loans.parent / name
    path.write_bytes(data)
    with pytest.raises(DataError):
        score(open_project(loans), Order(path=path, out=loans.parent / "out.csv"))
    with pytest.raises(DataError, match="no such file"):
        score(open_project(loans), Order(path=loans.parent / "absent.csv", out=loans.parent / "out.csv"))


def test_a_workbook_that_is_too_small_is_refused_before_any_work(loans: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order = asked(loans, rows(), out="out.xlsx")
    sink = adapters.sink_of(order.out)
    monkeypatch.setattr(type(sink), "most_rows", 299)
    with pytest.raises(DataError, match="so many rows") as refused:
        score(open_project(loans), order)
    assert "--top" in refused.value.next
    assert score(open_project(loans), replace(order, top=299)).written == 299


def test_without_a_live_version_it_says_what_to_do(tmp_path: Path) -> None:
    folder = write_parcels(tmp_path / "parcels")
    with pytest.raises(NotFound, match="no live version") as refused:
        score(open_project(folder), Order(path=folder / "feed.parquet", out=tmp_path / "out.csv"))
    assert "kring go" in refused.value.next
    assert not (folder / ".kring").exists()


def test_two_into_one_file_wait_for_each_other_and_none_waits_for_the_log(loans: Path) -> None:
    project, order = open_project(loans), asked(loans, rows(10))
    held = project.files.append(partial(order))
    with pytest.raises(Busy):
        score(project, order)
    held.close()
    with scoring.open_log(project):
        scored = score(project, order)
    assert scored.rows == 10
    assert decision_place(decision_raw(scored.first_id)).writer == adapters.BESIDE + 1
    assert trace(project, scored.last_id).nodes[0].id == scored.last_id


@pytest.mark.parametrize("kind", ["error", "crash"])
def test_a_disk_that_fails_anywhere_leaves_no_half_an_answer(
    loans: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(score_input, "CHUNK", 100)
    order = asked(loans, rows(250), out="out.csv")
    nth, ended = 1, False
    while not ended:
        files = FaultyFiles(LocalFiles(), Plan(nth, error=errno.ENOSPC, crash=kind == "crash"))
        project = replace(open_project(loans), files=files)
        try:
            score(project, order)
            ended = files.plan.count < nth
        except (StorageError, Crash):
            shown = order.out.exists()
        else:
            shown = True
        if shown:
            frame = pl.read_csv(order.out)
            assert frame.height == 250
            for id in (frame["decision_id"][0], frame["decision_id"][249]):
                assert trace(open_project(loans), id).nodes[1].kind == "batch"
        order.out.unlink(missing_ok=True)
        nth += 3
    assert nth > 10
    assert all(record.n for record in logged(open_project(loans)))


def test_the_answer_of_the_command_is_one_object(loans: Path) -> None:
    order = asked(loans, rows(20), out="out.csv")
    told = kring("score", order.path, loans, "--out", order.out, "--json")
    assert set(told.json) == {"scored", "out"}
    assert json.loads(told.out)["scored"]["decided"] == 20
