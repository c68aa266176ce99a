"""All monitors over the log of a system that lived: what they say of each window, live and once more."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace

import msgspec

from kring.flow import adapters
from kring.flow.project import Project
from kring.flow.watching.keeping import ALL, read_seen, unwatched, write_seen
from kring.flow.watching.monitors import Monitors
from kring.flow.watching.watcher import AGAIN_US, Known, Watcher, rehearsed, watcher_of
from kring.ports.decision_log import Logged
from kring.record.decision import Decisions, Outcomes
from kring.record.drift import DriftSeen
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


def test_a_version_that_can_t_be_opened_is_looked_for_seldom(lived: Lived) -> None:
    project, hidden = lived.project, lived.replay.versions[0].id
    with project.ledger() as ledger:
        watcher = watcher_of(project, ledger)
        known_of, asked = watcher._known_of, list[int]()
        at = heard = 0

        def now_and_then(version: str) -> Known | None:
            if version == hidden:
                asked.append(at)
            return None if version == hidden and len(asked) < 3 else known_of(version)

        watcher._known_of = now_and_then
        for one in frames(project):
            at = one.record.at
            watcher.hear(one)
            heard += isinstance(one.record, Decisions) and one.record.version == hidden
    assert len(asked) == 3 < heard, "then it could be opened"
    assert all(later - sooner >= AGAIN_US for sooner, later in itertools.pairwise(asked))


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


def test_a_probability_that_is_off_says_what_that_costs(lived: Lived) -> None:
    _, events = watched(lived)
    off = [one for each in events if isinstance(each, Watched) for one in each.breaches if one.kind == "calibration"]
    last = off[-1]
    assert "points from the shares that come true" in last.what
    assert last.effect is not None
    assert (last.effect.metric, last.effect.money) == ("expected_cost", last.effect.value)
    assert last.effect.low is not None
    assert last.effect.low > 0, "the world has turned: the threshold lies in the wrong place, and that is proven"
    assert "instead of" in last.effect.conditions
    early = [one for one in off if one.effect is not None and one.effect.value is None]
    assert all("from ten windows with outcomes on" in one.effect.conditions for one in early if one.effect)


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


def killed(lived: Lived, *, at: int, behind: int = 0) -> tuple[list[OperatorEvent], list[OperatorEvent], DriftSeen]:
    """The log is heard until `at`; whoever comes after that hears all of it again, with what was kept `behind` windows
    earlier. The events of both, and what the second one has seen at the end."""
    project, version = lived.project, lived.replay.versions[0].id
    first: list[OperatorEvent] = []
    second: list[OperatorEvent] = []
    with project.ledger() as ledger:
        one, heard, kept = watcher_of(project, ledger), dict[int, tuple[int, int]](), DriftSeen()
        log = list(frames(project))
        for each in log:
            if each.record.at >= at:
                break
            first += one.due(each.record.at, live=version)
            if one.monitors.drifting.until > kept.until and one.monitors.drifting.until <= at - behind * DAY:
                kept = one.monitors.drifting.seen(heard)
            one.hear(each)
            heard[each.place.writer] = each.cursor
        write_seen(project, kept)
        again = watcher_of(project, ledger, seen=read_seen(project))
        for each in log:
            second += again.due(min(each.record.at, TO), live=version) if each.record.at >= at else []
            again.hear(each)
        second += again.due(TO, live=version)
    project.home.drift.unlink()
    return first, second, again.monitors.drifting.seen({})


def test_who_comes_after_a_kill_counts_no_window_twice(lived: Lived) -> None:
    watcher, whole = watched(lived)
    before = [each for each in whole if isinstance(each, Watched)]
    for behind in (0, 1, 3):
        first, second, seen = killed(lived, at=FROM + 9 * DAY + DAY // 2, behind=behind)
        early = [each for each in first if isinstance(each, Watched)]
        late = [each for each in second if isinstance(each, Watched)]
        assert early == before[: len(early)]
        assert late == before[len(before) - len(late) :], "each later window once, and as it would have been"
        assert len(early) + len(late) == len(before) + behind
        assert seen == watcher.monitors.drifting.seen({})


def test_what_can_not_be_read_begins_anew_and_is_told(lived: Lived) -> None:
    told: list[str] = []
    project = replace(lived.project, say=told.append)
    assert read_seen(project) is None
    assert not told
    project.files.write(project.home.drift, b"{")
    assert read_seen(project) is None
    assert "begins anew" in told[0]
    project.home.drift.unlink()


def test_columns_that_are_not_watched_are_named(lived: Lived) -> None:
    project, version = lived.project, lived.replay.versions[0].id
    assert ALL not in unwatched(project, version)
    assert unwatched(project, "v_nobody") == {ALL: "no reference"}
    assert ALL in unwatched(
        msgspec_replaced(project, watch=msgspec.structs.replace(project.system.watch, drift=0.0)), version
    )
    watcher, _ = watched(lived)
    seen = watcher.monitors.drifting.seen({})
    some = msgspec.structs.replace(seen.versions[0], unseen={"region": "no reference", "income": "no rows"})
    write_seen(project, msgspec.structs.replace(seen, versions=(some,)))
    assert unwatched(project, some.state.version)["region"] == "no reference"
    assert "income" not in unwatched(project, some.state.version)
    project.home.drift.unlink()


def test_realised_quality_comes_with_what_it_costs(lived: Lived) -> None:
    alarms = [each for each in lived.replay.alarms if each.kind == "quality"]
    assert alarms
    for each in alarms:
        assert each.effect is not None
        assert each.effect.metric
