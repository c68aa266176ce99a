"""What turned out to be true: late, twice, corrected, out of order, of nobody, of another type, from the future."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import msgspec
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kring.flow import adapters
from kring.flow.outcomes import SKEW_US, record_outcomes
from kring.flow.project import open_project
from kring.flow.tracing import trace
from kring.host.files import LocalFiles
from kring.metrics.ids import decision_ids
from kring.record.contract import Field
from kring.record.decision import Decisions, Outcomes
from kring.record.outcome import Reported, Told
from kring.stores.file import FileLog, open_log
from kring.stores.reading import WholeLog, read_log
from kring.testing.decision_log import START, SYSTEM, decisions
from systems import kring, loans_feed, write_loans

TARGET = Field(name="repaid", type="boolean")
NOW = START + 3_600_000_000


@pytest.fixture
def log(tmp_path: Path) -> FileLog:
    return open_log(tmp_path, files=LocalFiles(), system=SYSTEM)


@pytest.fixture
def whole(tmp_path: Path) -> WholeLog:
    return read_log(tmp_path, system=SYSTEM)


def decide(log: FileLog, n: int = 2, *, at: int = START) -> list[str]:
    ids = decision_ids(log.append(decisions(n, at=at)), n)
    log.commit()
    return ids


def report(
    log: FileLog, whole: WholeLog, *reports: tuple[str, object, int], target: Field = TARGET, now: int = NOW
) -> list[Told]:
    said = [Reported(id=id, value=value, at=at) for id, value, at in reports]
    return record_outcomes(log, whole, said, system=SYSTEM, target=target, now=now, source="test")


def heard(told: list[Told]) -> list[str]:
    return [one.heard for one in told]


def last(whole: WholeLog, id: str) -> object:
    record, row = whole.outcomes(id)[-1]
    return record.values[row]


def test_first_again_and_corrected(log: FileLog, whole: WholeLog) -> None:
    one, other = decide(log)
    assert heard(report(log, whole, (one, True, 0))) == ["recorded"]
    assert heard(report(log, whole, (one, True, 0), (other, "yes", 0))) == ["known", "recorded"]
    assert heard(report(log, whole, (one, "false", NOW - 5))) == ["corrected"]
    assert last(whole, one) is True
    assert heard(report(log, whole, (one, False, NOW + 5))) == ["corrected"]
    assert last(whole, one) is False
    assert len(whole.outcomes(one)) == 3
    log.close()


def test_the_same_twice_in_one_report(log: FileLog, whole: WholeLog) -> None:
    (one,) = decide(log, 1)
    told = report(log, whole, (one, True, 0), (one, True, 0), (one, False, 0), (one, False, 0))
    assert heard(told) == ["recorded", "known", "corrected", "known"]
    assert last(whole, one) is False
    log.close()


@settings(max_examples=25)
@given(
    steps=st.lists(
        st.tuples(st.integers(0, 3), st.booleans(), st.integers(1, 1000), st.booleans()), min_size=1, max_size=12
    )
)
def test_the_last_moment_wins_in_whatever_order(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, bool, int, bool]]
) -> None:
    folder = tmp_path_factory.mktemp("outcomes")
    logs = [open_log(folder, files=LocalFiles(), system=SYSTEM, writer=writer) for writer in range(2)]
    whole, ids = read_log(folder, system=SYSTEM), decide(logs[0], 4)
    model: dict[str, tuple[int, bool]] = {}
    for row, value, after, second in steps:
        id, at = ids[row], START + after
        (told,) = report(logs[second], whole, (id, value, at))
        before = model.get(id)
        expected = "recorded" if before is None else "known" if before[1] == value else "corrected"
        assert told.heard == expected
        if expected != "known" and (before is None or at > before[0]):
            model[id] = (at, value)
        elif expected != "known" and before is not None and at == before[0]:  # of one moment the later place counts
            model[id] = (at, bool(last(whole, id)))
    assert all(last(whole, id) is value for id, (_, value) in model.items() if len(whole.outcomes(id)) == 1)
    for id, (at, _) in model.items():
        assert whole.outcomes(id)[-1][0].at == at
    for log in logs:
        log.close()
    shutil.rmtree(folder)


@pytest.mark.parametrize("id", ["", "d_", "d_" + "0" * 26, "v_1", "d_" + "U" * 26, "x" * 5000, "\ud800"])
def test_nobodys_decision_is_refused(log: FileLog, whole: WholeLog, id: str) -> None:
    one, _ = decide(log)
    told = report(log, whole, (id, True, 0), (one, True, 0))
    assert heard(told) == ["refused", "recorded"]
    assert len(told[0].id) <= 60
    log.close()


@pytest.mark.parametrize(
    ("type", "value"),
    [
        ("boolean", "perhaps"),
        ("boolean", 7),
        ("boolean", None),
        ("boolean", ""),
        ("number", "x"),
        ("number", float("nan")),
        ("number", float("inf")),
        ("integer", 1.5),
        ("integer", [1]),
        ("string", {"a": 1}),
        ("string", None),
    ],
)
def test_another_type_is_refused(log: FileLog, whole: WholeLog, type: str, value: object) -> None:
    one, _ = decide(log)
    target = Field(name="repaid", type=type)  # type: ignore[arg-type]
    (told,) = report(log, whole, (one, value, 0), target=target)
    assert told.heard == "refused"
    assert f"repaid is a {type}" in told.reason
    assert whole.outcomes(one) == []
    log.close()


def test_a_value_that_the_contract_does_not_know_is_refused(log: FileLog, whole: WholeLog) -> None:
    one, _ = decide(log)
    target = Field(name="class", type="string", allowed=("UP", "DOWN"))
    told = report(log, whole, (one, "SIDEWAYS", 0), (one, "UP", 0), target=target)
    assert heard(told) == ["refused", "recorded"]
    assert "UP, DOWN" in told[0].reason
    log.close()


def test_a_moment_that_can_not_be_is_refused(log: FileLog, whole: WholeLog) -> None:
    one, _ = decide(log)
    told = report(log, whole, (one, True, NOW + SKEW_US + 1), (one, True, START - SKEW_US - 1))
    assert ["future" in told[0].reason, "before the decision" in told[1].reason] == [True, True]
    assert heard(report(log, whole, (one, True, NOW + SKEW_US), (one, False, START - SKEW_US))) == [
        "recorded",
        "corrected",
    ]
    log.close()


def test_a_shadow_has_no_outcome(log: FileLog, whole: WholeLog) -> None:
    record: Decisions = msgspec.structs.replace(decisions(1), arm="shadow", kind="shadow")
    (id,) = decision_ids(log.append(record), 1)
    log.commit()
    assert "shadow" in report(log, whole, (id, True, 0))[0].reason
    log.close()


def test_many_are_recorded_in_records_of_a_bounded_size(log: FileLog, whole: WholeLog) -> None:
    ids = decide(log, 12_000)
    assert set(heard(report(log, whole, *((id, True, 0) for id in ids)))) == {"recorded"}
    sizes = [len(one.record.ids) for one in whole.read() if isinstance(one.record, Outcomes)]
    assert sizes == [10_000, 2_000]
    assert set(heard(report(log, whole, *((id, True, 0) for id in ids)))) == {"known"}
    log.close()


# ---------------------------------------------------------------- the command


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Loans with a live version and forty decisions on record."""
    folder = write_loans(tmp_path_factory.mktemp("outcomes") / "loans", feed=loans_feed(1500))
    assert kring("go", folder).code == 0
    loans_feed(40).drop("repaid", "settled_at").write_csv(folder.parent / "in.csv")
    assert kring("score", folder.parent / "in.csv", folder, "--out", folder.parent / "out.csv").code == 0
    return folder


def scored(folder: Path) -> list[str]:
    return pl.read_csv(folder.parent / "out.csv")["decision_id"].to_list()


def test_one_outcome_from_the_command_line(made: Path) -> None:
    id = scored(made)[0]
    told = kring("outcome", made, "--decision", id, "--value", "true", "--json")
    assert (told.code, told.json["recorded"]) == (0, 1)
    assert kring("outcome", made, "--decision", id, "--value", "true", "--json").json["known"] == 1
    assert trace(open_project(made), id).nodes[0].facts["outcome"].startswith("true, known")
    assert kring("outcome", made, "--decision", id, "--value", "maybe").code == 1


@pytest.mark.parametrize("ending", ["csv", "parquet", "jsonl"])
def test_a_file_of_outcomes(made: Path, tmp_path: Path, ending: str) -> None:
    begin = {"csv": 10, "parquet": 20, "jsonl": 30}[ending]
    ids = [*scored(made)[begin : begin + 5], "d_" + "0" * 26]
    frame = pl.DataFrame({"decision_id": ids, "repaid": [True, False, None, True, False, True]})
    path = tmp_path / f"outcomes.{ending}"
    writes = {"csv": frame.write_csv, "parquet": frame.write_parquet, "jsonl": frame.write_ndjson}
    writes[ending](path)
    told = kring("outcome", made, "--from", path, "--json")
    assert told.code == 1
    assert (told.json["recorded"], told.json["refused"]) == (4, 1)
    assert "no decision on record" in json.dumps(told.json["examples"])
    again = kring("outcome", made, "--from", path, "--json")
    assert (again.json["recorded"], again.json["known"]) == (0, 4)


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--decision", "d_1"],
        ["--value", "true"],
        ["--at", "2024-01-01"],
        ["--decision", "d_1", "--value", "true", "--from", "x.csv"],
        ["--from", "nowhere.csv"],
        ["--decision", "d_1", "--value", "true", "--at", "yesterday"],
    ],
)
def test_wrong_use_is_told(made: Path, words: list[str]) -> None:
    before = sum(1 for _ in adapters.read_log(made / ".kring" / "log", system="loans").read())
    assert kring("outcome", made, *words).code == 2
    assert sum(1 for _ in adapters.read_log(made / ".kring" / "log", system="loans").read()) == before


@pytest.mark.parametrize(
    "text", ["", "decision_id\nd_1\n", "number,value\nd_1,true\n", "\0\1\2", "decision_id,value\nd_1\n"]
)
def test_a_file_that_is_no_table_of_outcomes(made: Path, tmp_path: Path, text: str) -> None:
    path = tmp_path / "outcomes.csv"
    path.write_text(text)
    assert kring("outcome", made, "--from", path).code == 2
