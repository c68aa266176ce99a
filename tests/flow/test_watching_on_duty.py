"""Whoever is on duty watches: windows once, what can't wait at once, and after a kill as if there had been none."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from kring.errors import Busy
from kring.flow import history
from kring.flow.duty.prober import Prober
from kring.flow.duty.turns import Duty
from kring.flow.project import Project
from kring.flow.watching.keeping import read_seen
from kring.flow.watching.watcher import Watcher
from kring.host.clock import SimulatedClock
from kring.record.alarm import Alarm
from kring.record.decision import Decisions
from kring.record.probe import Probed
from kring.record.running import ProbesPlan, Slo
from kring.stores.file import open_log
from lives import TO, Lived
from systems import DAY

HOUR = DAY // 24


@pytest.fixture
def project(lived: Lived, tmp_path: Path) -> Project:
    """The system that lived, in a home of its own, at the end of its last day."""
    shutil.copytree(lived.project.home.root, tmp_path / "home")
    system = msgspec.structs.replace(lived.project.system, slo=Slo(success=0.99))
    there = lived.project.at(
        home=tmp_path / "home", clock=SimulatedClock(TO), random=lived.project.random, actor="test"
    )
    return replace(there, system=system)


def alarms(project: Project) -> dict[str, Alarm]:
    with project.ledger() as ledger:
        state = history.operator_state(ledger)
    assert state is not None
    return {one.key: one for one in state.alarms}


def turned(project: Project, *, times: int = 1) -> Duty:
    duty = Duty(project, holder="a", environ={}, say=print)
    for _ in range(times):
        duty.turn()
    return duty


def asked(project: Project, *, rows: int, at: int, answered_by: str = "nobody") -> None:
    """Requests that the live version did not answer."""
    with project.ledger() as ledger:
        state = history.operator_state(ledger)
    assert state is not None
    assert state.pointer is not None
    record = Decisions(
        system="loans", version=state.pointer.live, answered_by=answered_by, arm="live", kind="online", at=at, n=rows,
        inputs={}, outputs={}, latency_us=900, fallback="it was down",
    )  # fmt: skip
    log = open_log(project.home.log, files=project.files, writer=9, system="loans")
    log.append(record)
    log.commit()
    log.close()


def test_a_kill_after_a_window_changes_nothing(project: Project) -> None:
    killed = turned(project, times=2)
    before, seen = alarms(project), read_seen(project)
    assert seen is not None
    assert seen.until == TO
    assert seen.heard
    killed._stack.close()  # the lease is not given back
    turned(project, times=2).close()
    assert read_seen(project) == seen
    assert alarms(project) == before


def test_who_closes_many_windows_still_leads(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that needs a second for each of them."""
    clock, closed = project.clock, list[int]()
    assert isinstance(clock, SimulatedClock)

    def slowly(self: Watcher, start: int, **how: object) -> object:
        clock.advance(clock.now() + 1_000_000)
        with project.ledger() as ledger, pytest.raises(Busy):
            ledger.lease("leader", holder="b", ttl=15.0, now=clock.now())
        closed.append(start)
        return close(self, start, **how)  # type: ignore[arg-type]

    close = Watcher._close
    monkeypatch.setattr(Watcher, "_close", slowly)
    turned(project).close()
    assert len(closed) > 15, "more seconds than the right lasts"
    assert closed == sorted(set(closed))


def test_a_probe_that_breaks_tells_nothing_of_data(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(project: Project) -> None:
        raise ValueError(f"ada@example.com owes {len(project.folder.name)}")

    monkeypatch.setattr("kring.flow.duty.prober.run_probes", broken)
    said: list[str] = []
    Prober(say=said.append).run(project)
    assert "ValueError in test_watching_on_duty.py" in said[0]
    assert "ada" not in said[0]


def test_a_kill_between_commit_and_what_is_kept_counts_no_look_twice(project: Project) -> None:
    killed = turned(project)
    before = alarms(project)
    killed._stack.close()
    project.home.drift.unlink()
    turned(project).close()
    after = alarms(project)
    assert {key: one.count for key, one in after.items()} == {key: one.count for key, one in before.items()}


def test_a_promise_that_is_broken_does_not_wait_for_the_end_of_a_window(project: Project) -> None:
    turned(project).close()
    assert "service_level/success//" not in alarms(project)
    asked(project, rows=500, at=TO + HOUR)
    later = replace(project, clock=SimulatedClock(TO + HOUR + 1_000_000))
    turned(later).close()
    found = alarms(project)["service_level/success//"]
    assert found.tier == "page"
    assert found.looked_at < TO + DAY


def test_rows_that_come_after_a_restart_are_counted_in_their_window(project: Project) -> None:
    turned(project).close()
    asked(project, rows=700, at=TO + HOUR, answered_by="default")
    turned(replace(project, clock=SimulatedClock(TO + 2 * HOUR))).close()
    seen = read_seen(project)
    assert seen is not None
    assert seen.until == TO, "the window is not over"
    turned(replace(project, clock=SimulatedClock(TO + DAY))).close()
    again = read_seen(project)
    assert again is not None
    assert again.until == TO + DAY
    assert "fallback/fallbacks//" in alarms(project)
    assert alarms(project)["fallback/fallbacks//"].what.startswith("700 of ")


def test_probes_are_put_when_they_are_due_and_no_sooner(project: Project, tmp_path: Path) -> None:
    row = {"asked_at": "2024-02-01T12:00:00Z", "email": "a@example.org", "region": "north", "amount": 10}
    (tmp_path / "probes.jsonl").write_text(json.dumps({"inputs": row}) + "\n")
    probes = ProbesPlan(file=str(tmp_path / "probes.jsonl"), every_us=DAY)
    watch = msgspec.structs.replace(project.system.watch, probes=probes)
    asking = replace(project, system=msgspec.structs.replace(project.system, watch=watch))
    for _ in range(2):
        duty = turned(asking)
        if duty._prober._thread is not None:
            duty._prober._thread.join(60)
        duty.turn()
        duty.close()
        with project.ledger() as ledger:
            assert len(list(history.all_of(ledger, Probed))) == 1
