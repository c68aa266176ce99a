"""All monitors over the log of a system that lived: what they say of each window, live and once more."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import msgspec

from kring.flow import adapters
from kring.flow.project import Project
from kring.flow.watching.monitors import Monitors
from kring.flow.watching.watcher import Watcher, rehearsed, watcher_of
from kring.ports.decision_log import Logged
from kring.record.decision import Decisions, Outcomes
from kring.record.operator import OperatorEvent, Watched, WindowClosed
from kring.record.running import Drills, Slo
from lives import FROM, TO, Lived
from systems import DAY


def frames(project: Project) -> Iterator[Logged]:
    return adapters.read_log(project.home.log, system=project.system.name).read()


def watched(lived: Lived, *, live: int = 0, **changes: object) -> tuple[Watcher, list[OperatorEvent]]:
    """The events of every window, for one of the versions."""
    project = lived.project
    watch = msgspec.structs.replace(project.system.watch, **changes)
    project = msgspec_replaced(project, watch=watch)
    version = lived.replay.versions[live].id
    events: list[OperatorEvent] = []
    with project.ledger() as ledger:
        watcher = watcher_of(project, ledger)
        for one in frames(project):
            at = one.record.at
            events += watcher.due(at, live=version)
            watcher.hear(one)
        events += watcher.due(TO, live=version)
    return watcher, events


def msgspec_replaced(project: Project, **changes: object) -> Project:
    return replace(project, system=msgspec.structs.replace(project.system, **changes))


def test_every_window_is_closed_once_and_in_order(lived: Lived) -> None:
    _, events = watched(lived)
    closed = [each for each in events if isinstance(each, WindowClosed)]
    starts = [each.start for each in closed]
    assert starts == list(range(starts[0], TO - DAY + 1, DAY))
    assert starts[0] >= FROM
    counted = {start: decisions for start, decisions, _ in lived.replay.volumes}
    assert {each.start: each.decisions for each in closed if each.decisions} == {
        start: rows for start, rows in counted.items() if rows and start < TO
    }
    seen = [each for each in events if isinstance(each, Watched)]
    assert len(seen) == len(closed)
    assert all(set(breach.key for breach in each.breaches) <= set(each.looked) for each in seen)


def test_the_world_turns_and_the_monitors_say_so(lived: Lived) -> None:
    _, events = watched(lived)
    kinds = {breach.kind for each in events if isinstance(each, Watched) for breach in each.breaches}
    assert "calibration" in kinds
    drifts = {
        breach.feature for each in events if isinstance(each, Watched) for breach in each.breaches if breach.feature
    }
    assert "region" not in drifts, "inputs look as they did: only their meaning has turned"


def test_reading_the_log_again_says_the_same(lived: Lived) -> None:
    assert watched(lived)[1] == watched(lived)[1]


def test_estimates_have_conditions_or_a_reason(lived: Lived) -> None:
    watcher, _ = watched(lived)
    version = lived.replay.versions[0].id
    found = watcher.monitors.estimate(version, start=FROM + 6 * DAY, end=FROM + 7 * DAY)
    assert bool(found.measures) != bool(found.doubt)
    effect = watcher.monitors.effect(version, start=FROM + 6 * DAY, end=FROM + 7 * DAY)
    assert effect.conditions
    names = {each.name for each in watcher.monitors.figures(FROM, TO)}
    assert {"answered", "fallbacks", "violations", "abstained", "outliers"} <= names


def test_probes_and_strangers_are_no_traffic(lived: Lived) -> None:
    project = lived.project
    with project.ledger() as ledger:
        watcher = watcher_of(project, ledger)
        one = next(
            frame for frame in frames(project) if isinstance(frame.record, Decisions) and frame.record.arm == "live"
        )
        probe = msgspec.structs.replace(one.record, arm="shadow", kind="shadow", refers=[])
        other = msgspec.structs.replace(one.record, version="v_" + "0" * 26, answered_by="nobody")
        for record in (probe, other, Outcomes(system="loans", at=TO, ids=[bytes(16)], values=[True])):
            watcher.hear(msgspec.structs.replace(one, record=record))
        assert watcher.due(TO, live=one.record.version) == []
        assert watcher.due(TO, live="") == []


def test_windows_without_rows_say_nothing(lived: Lived) -> None:
    monitors = Monitors(lived.project.system, lived.project.task)
    found = monitors.closed(FROM, FROM + DAY, live="v_nobody")
    assert (found.breaches, found.looked) == ((), ())
    assert monitors.pulse(TO).looked == ()
    assert monitors.figures(FROM, TO) == ()
    assert monitors.estimate("v_nobody", start=FROM, end=TO).doubt


def test_rows_of_old_windows_are_let_go_and_their_counts_stay(lived: Lived) -> None:
    watcher, _ = watched(lived)
    version = lived.replay.versions[0].id
    windows = watcher.monitors.windows
    before = windows.labelled(version, start=FROM, end=TO)
    windows.forget(TO)
    assert windows.labelled(version, start=FROM, end=TO) == before


def test_promises_are_counted_by_slot(lived: Lived) -> None:
    project = lived.project
    promised = msgspec.structs.replace(project.system, slo=Slo(availability=0.99, success=0.9))
    monitors = Monitors(promised, project.task)
    version = lived.replay.versions[0].id
    with project.ledger() as ledger:
        known = watcher_of(project, ledger)._known_of(version)
    assert known is not None
    monitors.knows(version, known.policy)
    for one in frames(project):
        if isinstance(one.record, Decisions) and one.record.arm != "shadow" and one.record.version == version:
            monitors.decisions(one.place, msgspec.structs.replace(one.record, kind="online"))
    assert [each.bad for each in monitors.budgets(TO)] == [0, 0]
    assert set(monitors.pulse(TO).looked) <= {"service_level/availability//", "service_level/success//"}


def test_a_drill_that_was_never_held_is_overdue(lived: Lived) -> None:
    project = msgspec_replaced(lived.project, drills=Drills(names=("dead_worker",), every_us=10 * DAY))
    with project.ledger() as ledger:
        [soon] = rehearsed(project, ledger, now=FROM + DAY)
        [late] = rehearsed(project, ledger, now=TO)
        assert rehearsed(lived.project, ledger, now=TO) == []
    assert isinstance(soon, Watched)
    assert isinstance(late, Watched)
    assert not soon.breaches
    [breach] = late.breaches
    assert (breach.kind, breach.metric) == ("drill", "dead_worker")
    assert "never passed" in breach.what
    assert late.looked == ("drill/dead_worker//",)
