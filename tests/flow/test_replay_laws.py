"""What a replay must never do: look ahead, differ from itself, answer otherwise than its versions, or lose track."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest

from kring.decide.prepare_rows import row_preparer
from kring.errors import Refused
from kring.flow import adapters, history
from kring.flow.project import open_project
from kring.flow.replaying.home import replay_in
from kring.flow.replaying.replay import HOUR_US
from kring.metrics.ids import decision_id, decision_ids, decision_raw
from kring.ports.decision_log import Logged
from kring.record.alarm import Alarm
from kring.record.batch import Batch
from kring.record.decision import Decisions, Outcomes
from kring.record.event import Segment
from kring.record.prepare import Prepared
from kring.record.rollout import Rollout
from kring.record.version import Version
from kring.release.load import open_version
from kring.runtimes.chain import open_chain
from kring.serve.decider import REJECTED
from lives import FROM, TO, TURNS_ON, Lived, live
from systems import DAY, day, kring, loans_feed, parcels_feed, write_loans, write_parcels


def log_of(lived: Lived) -> list[Logged]:
    return list(adapters.read_log(lived.project.home.log, system="loans").read())


def answers_of(lived: Lived) -> list[tuple[Logged, Decisions]]:
    """Everything that was said to the world, without the shadows."""
    records = [(one, one.record) for one in log_of(lived) if isinstance(one.record, Decisions)]
    return [(one, record) for one, record in records if record.arm != "shadow"]


def records_of(lived: Lived, kind: type) -> list:
    with lived.project.ledger() as ledger:
        return list(history.all_of(ledger, kind))


def said_at(one: Version | Rollout | Alarm) -> int:
    """An alarm is said again each time it is found."""
    return max(one.at, one.last, one.ended) if isinstance(one, Alarm) else one.at


def segments(lived: Lived) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(lived.project.home.log.glob("*.log"))}


@pytest.fixture(scope="module")
def again(lived: Lived, tmp_path_factory: pytest.TempPathFactory) -> Lived:
    """The same once more, in another folder."""
    folder = write_loans(tmp_path_factory.mktemp("again") / "loans", feed=loans_feed(turns_on=TURNS_ON))
    return live(folder, folder / "elsewhere")


def test_the_fixture_has_seen_life(lived: Lived) -> None:
    replay = lived.replay
    assert len(replay.versions) >= 2
    assert {alarm.kind for alarm in replay.alarms} >= {"quality"}
    assert {rollout.state for rollout in replay.rollouts} >= {"done"}
    assert replay.refusals
    assert (replay.start, replay.end) == (FROM, TO)


def test_the_same_seed_gives_the_same_records(lived: Lived, again: Lived) -> None:
    assert segments(again) == segments(lived)
    assert again.replay.log_digest == lived.replay.log_digest
    for kind in (Rollout, Alarm, Segment):
        assert records_of(again, kind) == records_of(lived, kind)
    names = [[(one.id, one.root, one.run, one.at) for one in records_of(each, Version)] for each in (lived, again)]
    assert names[0] == names[1]
    assert msgspec.structs.replace(again.replay, seconds=0) == msgspec.structs.replace(lived.replay, seconds=0)


def test_another_seed_gives_other_ids(lived: Lived, tmp_path: Path) -> None:
    other = live(lived.own.folder, tmp_path / "home", seed=1, end=FROM + 2 * DAY)
    mine, theirs = records_of(lived, Version)[0], records_of(other, Version)[0]
    assert mine.at == theirs.at
    assert mine.snapshot != theirs.snapshot
    assert (mine.id, mine.run) != (theirs.id, theirs.run)


def test_no_outcome_is_read_before_it_is_known(lived: Lived, tmp_path: Path) -> None:
    """Turn round every outcome that was known after a moment: nothing before that moment is another."""
    moment = lived.replay.alarms[0].at
    assert moment < TO - DAY
    feed = loans_feed(turns_on=TURNS_ON).with_columns(
        repaid=pl.when(pl.col("settled_at").dt.epoch("us") > moment).then(~pl.col("repaid")).otherwise("repaid")
    )
    other = live(write_loans(tmp_path / "loans", feed=feed), tmp_path / "home")
    assert segments(other) != segments(lived)

    def before(one: Lived) -> list[Logged]:
        return [msgspec.structs.replace(logged, cursor=(0, 0)) for logged in log_of(one) if logged.record.at <= moment]

    assert before(other) == before(lived)
    for kind in (Version, Rollout, Alarm):
        mine, theirs = ([one for one in records_of(each, kind) if said_at(one) <= moment] for each in (lived, other))
        assert mine
        assert [one.id for one in mine] == [one.id for one in theirs]
        assert [one.at for one in mine] == [one.at for one in theirs]


def test_outcomes_come_when_they_are_known_and_once(lived: Lived) -> None:
    """Each outcome stands in the first tick after it is known, and belongs to the row that had it."""
    feed = pl.read_csv(lived.own.folder / "feed.csv", try_parse_dates=True).with_columns(
        at=pl.col("asked_at").dt.epoch("us"), known=pl.col("settled_at").dt.epoch("us")
    )
    by_input = {(row["at"], row["amount"]): row for row in feed.iter_rows(named=True)}
    rows: dict[bytes, dict] = {}
    seen: set[bytes] = set()
    for one in log_of(lived):
        record = one.record
        if isinstance(record, Outcomes):
            for id, value in zip(record.ids, record.values, strict=True):
                row = rows[id]
                assert id not in seen
                seen.add(id)
                assert value == row["repaid"]
                assert record.at - HOUR_US < row["known"] <= record.at
        elif record.arm != "shadow":
            for number, id in enumerate(decision_ids(one.place, record.n)):
                row = by_input[record.inputs["asked_at"][number], record.inputs["amount"][number]]
                assert record.at - HOUR_US < row["at"] <= record.at
                rows[decision_raw(id)] = row
    due = feed.filter((pl.col("at") > FROM) & (pl.col("at") <= TO))
    assert len(rows) == due.height == lived.replay.decisions
    assert len(seen) == due.filter(pl.col("known") <= TO).height == lived.replay.outcomes


def test_the_target_is_no_input(lived: Lived) -> None:
    for _, record in answers_of(lived):
        assert list(record.inputs) == ["asked_at", "email", "region", "amount", "income"]
        assert all(str(token).startswith("t_") for token in record.inputs["email"])


def test_every_answer_is_what_its_version_says(lived: Lived) -> None:
    """From the logged inputs, by the one-row path, on the version as it lies on the disk: equal to the bit."""
    project = lived.project
    public = project.home.public_key.read_bytes()
    chance = np.random.default_rng(5)
    answers = answers_of(lived)
    checked: dict[str, int] = defaultdict(int)
    for index in chance.permutation(len(answers))[:200].tolist():
        record = answers[index][1]
        loaded = open_version(project.home.versions / record.answered_by, public_pem=public)
        chain = loaded.manifest.chain
        prepared = msgspec.json.decode(loaded.files[chain.links[0].file], type=Prepared)
        prepare, runtime = row_preparer(prepared, types=project.types), open_chain(chain, loaded.files)
        row = int(chance.integers(record.n))
        one = Batch(1, {name: [column[row]] for name, column in record.inputs.items()})
        said = project.task.decide(runtime.answer(prepare(one)), chain.policy)
        assert record.outputs["decision"][row] == said.columns["decision"][0]
        assert record.outputs["probability"][row] == pytest.approx(float(str(said.columns["probability"][0])), abs=1e-6)
        checked[record.answered_by] += 1
    assert len(checked) >= 2, "both versions were asked"


def test_every_decision_is_found_by_its_id(lived: Lived) -> None:
    reader = adapters.read_log(lived.project.home.log, system="loans")
    for one, record in answers_of(lived)[::7]:
        for row, id in enumerate(decision_ids(one.place, record.n)):
            assert reader.find(id) == (record, row)


def test_shadows_answer_the_same_rows_and_say_so(lived: Lived) -> None:
    live_ids: dict[bytes, Decisions] = {}
    shadowed: dict[bytes, set[str]] = defaultdict(set)
    for one in log_of(lived):
        record = one.record
        if not isinstance(record, Decisions):
            continue
        if record.arm == "shadow":
            assert len(record.refers) == record.n
            assert record.inputs == {}
            assert all(live_ids[id].at == record.at for id in record.refers)
            for id in record.refers:
                shadowed[id].add(record.version)
        else:
            assert record.refers == []
            live_ids |= {decision_raw(id): record for id in decision_ids(one.place, record.n)}
    first = lived.replay.versions[0].id
    for id, record in live_ids.items():
        assert f"{record.version}/baseline" in shadowed[id]
        assert first == record.version or first in shadowed[id]
    second = lived.replay.versions[1]
    rollout = next(one for one in records_of(lived, Rollout) if one.version == second.id and one.state == "shadow")
    during = [id for id, record in live_ids.items() if rollout.at < record.at <= second.live_from - HOUR_US]
    assert during
    assert all(second.id in shadowed[id] for id in during)


def test_who_is_live_answers(lived: Lived) -> None:
    turns = [(one.live_from, one.id) for one in lived.replay.versions if one.live_from]
    for _, record in answers_of(lived):
        live_then = [id for since, id in turns if since < record.at][-1]
        assert (record.version, record.answered_by, record.fallback) == (live_then, live_then, "")


def test_every_segment_is_on_the_ledger(lived: Lived) -> None:
    known = {f"{one.writer}-{one.number}.log": one.digest for one in records_of(lived, Segment)}
    assert known == {name: hashlib.sha256(data).hexdigest() for name, data in segments(lived).items()}
    with lived.project.ledger() as ledger:
        assert ledger.verify() == ledger.head()


def test_the_systems_own_state_is_not_touched(tmp_path: Path) -> None:
    folder = write_parcels(tmp_path / "parcels")
    assert kring("go", folder).code == 0
    before = digests(folder / ".kring")
    told = kring("replay", folder, "--from", "2024-01-16", "--to", "2024-01-17", "--json")
    assert told.code == 0
    replays = folder / ".kring" / "replays"
    after = {name: digest for name, digest in digests(folder / ".kring").items() if not name.startswith("replays/")}
    assert Path(told.json["home"]).parent == replays
    assert after == before


def digests(folder: Path) -> dict[str, str]:
    """Of what is remembered: not of SQLite's working files, nor of locks."""
    files = [
        file for file in folder.rglob("*") if file.is_file() and file.suffix not in (".db-shm", ".db-wal", ".lock")
    ]
    named = [file for file in files if not file.name.startswith(".")]
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in named}


def test_outcomes_that_are_known_within_the_hour_are_heard(tmp_path: Path) -> None:
    """Decision and outcome fall into one tick."""
    project = open_project(write_parcels(tmp_path / "parcels"))
    _, replay, _ = replay_in(project, home=tmp_path / "home", start=day(16), end=day(18), seed=0)
    feed = parcels_feed()["booked_at"].dt.epoch("us")
    until = day(18) - 20 * 60_000_000
    assert replay.decisions == ((feed > day(16)) & (feed <= day(18))).sum()
    assert replay.outcomes == ((feed > day(16)) & (feed <= until)).sum()


@pytest.mark.parametrize("policy", ["flag", "reject"])
def test_rows_that_break_the_contract(policy: str, tmp_path: Path) -> None:
    """Flagged rows are answered and named; rejected ones are recorded and never answered; neither stops the rest."""
    bad = (pl.col("asked_at").dt.epoch("us") > day(31)) & (pl.int_range(pl.len()) % 5 == 0)
    feed = loans_feed(2000).with_columns(amount=pl.when(bad).then(2000.0).otherwise("amount"))
    folder = write_loans(tmp_path / "loans", feed=feed, out_of_contract=policy)
    one = live(folder, tmp_path / "home", end=FROM + 4 * DAY)
    away = 0
    for logged, record in answers_of(one):
        broken = [row for row, amount in enumerate(record.inputs["amount"]) if amount == 2000.0]
        assert sorted(record.guards) == broken
        assert all("amount" in " ".join(rules) for rules in record.guards.values())
        if policy == "flag" or not broken:
            assert record.answered_by == record.version
            continue
        assert (record.answered_by, record.outputs) == (REJECTED, {})
        assert len(broken) == record.n
        away += record.n
        id = decision_ids(logged.place, record.n)[0]
        told = kring("trace", id, folder, "--home", tmp_path / "home", "--json").json["nodes"]
        assert told[0]["facts"]["answered by"] == REJECTED
        assert "amount" in told[0]["facts"]["guards"]
    rows = feed.filter(
        (pl.col("asked_at").dt.epoch("us") > FROM) & (pl.col("asked_at").dt.epoch("us") <= FROM + 4 * DAY)
    )
    assert one.replay.decisions == rows.height
    assert away == (0 if policy == "flag" else rows.filter(pl.col("amount") == 2000.0).height)


def test_without_a_version_that_passes_there_is_no_life(tmp_path: Path) -> None:
    folder = write_parcels(tmp_path / "parcels")
    file = folder / "kring.toml"
    file.write_text(file.read_text().replace('"lift_over_baseline.mae" = "> 0"', 'mae = "< 0.1"'))
    with pytest.raises(Refused, match="brought no version"):
        replay_in(open_project(folder), home=tmp_path / "home", start=day(16), end=day(17), seed=0)


def test_an_example_worth_tracing(lived: Lived) -> None:
    reader = adapters.read_log(lived.project.home.log, system="loans")
    record, row = reader.find(lived.replay.trace_id)
    assert record.arm == "live"
    assert [decision_id(outcomes.ids[at]) for outcomes, at in reader.outcomes(lived.replay.trace_id)] == [
        lived.replay.trace_id
    ]
    assert row < record.n
