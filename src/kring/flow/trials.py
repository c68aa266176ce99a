"""Trials of a system: started and stopped on the ledger, followed in the log, read at any time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

import msgspec

from kring.errors import NotFound, Refused
from kring.flow import adapters, history
from kring.flow.flags import running_trials
from kring.flow.project import Project
from kring.flow.trial_alarms import tell_trials
from kring.flow.trial_reports import judged_reports, reports_in, unit_names
from kring.frame.wording import did_you_mean
from kring.ports.ledger import Ledger
from kring.ports.trials import Exposed, Trials, says_more
from kring.record.decision import Decisions
from kring.record.exposure import Exposure
from kring.record.rollout import Pointer
from kring.record.running import Trial
from kring.record.trial import TrialOutcomesTold, TrialReported, TrialRun, TrialSeen, TrialState, TrialTold
from kring.release.trials import see

JUDGED_EVERY_US: Final = 60_000_000
VERSIONS: Final = ("live", "canary")
SHOWN: Final = 10


def start_trial(project: Project, name: str) -> TrialRun:
    """Start the trial that kring.toml declares, with its terms as they are now: nothing that is written there later
    changes them. Units are drawn anew each time.

    `NotFound` for what is not declared, `Refused` while it runs or another one has its flag, and for versions that do
    not answer in the declared shares.
    """
    terms = declared(project, name)
    with project.ledger() as ledger:
        for other in running_trials(ledger):
            if other.name == name or (terms.flag and other.terms.flag == terms.flag):
                raise Refused(
                    f"the trial {other.name} runs" + ("" if other.name == name else f" on the flag {terms.flag}"),
                    got=f"started by {other.by}",
                    next=f"kring trial show {other.name}; to end it: kring trial stop {other.name} --reason WHY",
                )
        if not terms.flag:
            terms = with_versions(terms, ledger)
        now, id = project.clock.now(), project.new_id("tr")
        run = TrialRun(id=id, name=name, terms=terms, salt=id, state="running", started=now, by=project.actor)
        with opened(project) as store:
            store.expose({}, cursors=adapters.newest_segments(project.home.log))
        ledger.append([history.entry(run, id=id, actor=project.actor, at=now)], expect_seq=ledger.head().seq)
    return run


def stop_trial(project: Project, name: str, *, why: str, state: TrialState = "stopped") -> TrialRun:
    """End the trial of this name that runs; `Refused` when none does."""
    with project.ledger() as ledger:
        run = newest_run(ledger, project, name)
        if not run.is_running:
            raise Refused(
                f"the trial {name} does not run", got=f"{run.state}: {run.why}", next=f"kring trial show {name}"
            )
        now = project.clock.now()
        run = msgspec.structs.replace(run, state=state, ended=max(now, run.started), why=why)
        ledger.append([history.entry(run, id=run.id, actor=project.actor, at=now)], expect_seq=ledger.head().seq)
    return run


def see_trial(project: Project, name: str) -> tuple[TrialRun, TrialSeen]:
    """The newest trial of this name, and how it stands now. `NotFound` when it was never started."""
    with project.ledger() as ledger:
        run = newest_run(ledger, project, name)
        running = running_trials(ledger)
    with opened(project) as store:
        follow(project, store, running)
        return run, see(run, store.exposures(run.id), store.reports(run.id), now=project.clock.now())


def report_outcomes(project: Project, name: str, reports: Sequence[TrialReported], *, source: str) -> list[TrialTold]:
    """Put on record, durably, what units did; what can't be believed is refused by itself. `NotFound` when the trial
    was never started."""
    with project.ledger() as ledger:
        run = newest_run(ledger, project, name)
    now = project.clock.now()
    told, good = judged_reports(reports, run, now=now)
    names = unit_names(project, [one.unit for one in good.values()])
    kept = [one._replace(unit=unit) for one, unit in zip(good.values(), names, strict=True)]
    with opened(project) as store:
        before = store.report(run.id, kept, now=now, source=source)
    for place, known, one in zip(good, before, kept, strict=True):
        heard = "recorded" if known is None else "corrected" if says_more(one, known) else "known"
        told[place] = msgspec.structs.replace(told[place], heard=heard)
    return told


def file_outcomes(project: Project, name: str, path: Path) -> TrialOutcomesTold:
    """The same for the reports in a file. `DataError` for one that does not hold any."""
    with project.ledger() as ledger:
        run = newest_run(ledger, project, name)
    told = report_outcomes(project, name, reports_in(path, run), source=path.name)
    counts = Counter(one.heard for one in told)
    return TrialOutcomesTold(
        trial=name,
        recorded=counts["recorded"],
        corrected=counts["corrected"],
        known=counts["known"],
        refused=counts["refused"],
        examples=tuple(one for one in told if one.heard == "refused")[:SHOWN],
    )


def trials_of(project: Project) -> dict[str, TrialRun | None]:
    """Every trial that is declared or was ever started, with the newest of its name."""
    found: dict[str, TrialRun | None] = {trial.name: None for trial in project.system.trials}
    with project.ledger() as ledger:
        for run in history.all_of(ledger, TrialRun):
            found[run.name] = run
    return found


def judge_trials(project: Project, *, judged: dict[str, int]) -> list[TrialRun]:
    """Follow the log, and end the trials whose rules say so, once in each minute; those that ended. Called again and
    again, however often: `judged` is the caller's memory of the minute in which each system was judged last. What
    somebody has to know of a trial is told by an alarm, before it is ended."""
    now = project.clock.now()
    minute = now // JUDGED_EVERY_US
    is_due = judged.get(project.system.name) != minute
    seen: list[TrialSeen] = []
    with project.ledger() as ledger:
        running = running_trials(ledger)
    if running:
        with opened(project) as store:
            follow(project, store, running)
            seen = [see(run, store.exposures(run.id), store.reports(run.id), now=now) for run in running if is_due]
    if not is_due:
        return []
    tell_trials(project, seen, now=now)
    judged[project.system.name] = minute
    return [stop_trial(project, one.name, why=one.stops, state=ended_as(one)) for one in seen if one.stops]


def ended_as(seen: TrialSeen) -> TrialState:
    """`concluded` when something is proven of what decides."""
    return "concluded" if any(one.finding in ("better", "worse") for one in seen.outcomes[0].compared) else "ended"


def follow(project: Project, store: Trials, running: Sequence[TrialRun]) -> None:
    """Take what the log says of who was shown which arm since it was read last."""
    if not running:
        return
    by_version = {run.id: {version: arm for arm, version in run.terms.arms.items()} for run in running
                  if not run.terms.flag}  # fmt: skip
    cursors = store.cursors()
    shown: dict[str, list[Exposed]] = {}
    log = adapters.read_log(project.home.log, system=project.system.name)
    for logged in log.read(cursors, until=project.clock.now()):
        cursors[logged.place.writer] = logged.cursor
        record = logged.record
        if isinstance(record, Exposure):
            for trial, one in _shown(record):
                shown.setdefault(trial, []).append(one)
        elif by_version and isinstance(record, Decisions) and record.arm != "shadow" and record.kind == "online":
            for trial, arms in by_version.items():
                if record.version in arms:
                    exposed = [Exposed(unit, arms[record.version], record.at) for unit in record.subjects]
                    shown.setdefault(trial, []).extend(exposed)
    store.expose(shown, cursors=cursors)


def _shown(record: Exposure) -> Iterator[tuple[str, Exposed]]:
    """By the id of the trial, of the rows that belong to one: `ID/ARM`."""
    for unit, trial in zip(record.subjects, record.trials, strict=True):
        id, _, arm = trial.partition("/")
        if arm:
            yield id, Exposed(unit, arm, record.at)


def newest_run(ledger: Ledger, project: Project, name: str) -> TrialRun:
    """The one that was started last."""
    found: dict[str, TrialRun] = {}
    for run in history.all_of(ledger, TrialRun):
        if run.name == name:
            found[run.id] = run
    if not found:
        declared(project, name)
        raise NotFound(f"the trial {name} was never started", next=f"kring trial start {name}")
    return max(found.values(), key=lambda run: run.started)


def declared(project: Project, name: str) -> Trial:
    """The trial in kring.toml; `NotFound` with the nearest there is."""
    names = [trial.name for trial in project.system.trials]
    for trial in project.system.trials:
        if trial.name == name:
            return trial
    raise NotFound(
        f"{project.system.name} declares no such trial",
        got=repr(name)[:80],
        allowed=", ".join(names) or "none",
        next=did_you_mean(name, names, otherwise="declare it as [[trial]] in kring.toml"),
    )


def with_versions(terms: Trial, ledger: Ledger) -> Trial:
    """Terms whose arms are ids of versions. The router has one canary beside the live version, so there are two."""
    state = history.operator_state(ledger)
    pointer = state.pointer if state is not None else None
    if pointer is None or not pointer.canary or not pointer.share:
        raise Refused(
            "only one version answers: there is nothing to compare it with",
            next="start the trial when a rollout has reached its share, or compare variants of a flag",
        )
    arms = {arm: getattr(pointer, name) if name in VERSIONS else name for arm, name in terms.arms.items()}
    shares = {pointer.live: 1 - pointer.share, pointer.canary: pointer.share}
    _require_both(terms, arms, shares, pointer)
    return msgspec.structs.replace(terms, arms=arms)


def _require_both(terms: Trial, arms: dict[str, str], shares: dict[str, float], pointer: Pointer) -> None:
    if sorted(arms.values()) != sorted(shares):
        raise Refused(
            "the arms are not the two versions that answer",
            got=", ".join(arms.values()),
            allowed=f'{pointer.live} ("live") and {pointer.canary} ("canary")',
        )
    wrong = {arm: share for arm, share in terms.shares.items() if abs(share - shares[arms[arm]]) > 1e-9}
    if wrong:
        raise Refused(
            "the arms have other shares than the versions",
            got=", ".join(f"{arm} = {share:g}" for arm, share in terms.shares.items()),
            allowed=", ".join(f"{arm} = {shares[version]:g}" for arm, version in arms.items()),
            next="hold the rollout at the step whose share the trial declares, or declare shares",
        )
    if pointer.unit != "subject":
        raise Refused(
            "the router draws everybody anew each day or request",
            got=f"units: {pointer.unit}",
            allowed="subjects that stay with their version",
            next='write [rollout] sticky = "rollout" in kring.toml, and start the rollout again',
        )


@contextmanager
def opened(project: Project) -> Iterator[Trials]:
    """The system's exposures and outcomes, closed at the end."""
    with closing(adapters.open_trials(project.home.trials)) as store:
        yield store
