"""One system's operator at work: it leads, follows the log, judges, watches, has trainings done; a turn at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from itertools import islice
from typing import Final

import msgspec

from kring.errors import Busy, Conflict, KringError
from kring.flow import adapters
from kring.flow.configuration import Configuration, changed_in, is_heard_alike
from kring.flow.duty.prober import Prober
from kring.flow.operating.asking import record_pulled
from kring.flow.operating.following import Follower, Frames, Led, cursors_since
from kring.flow.operating.limits import limits_of
from kring.flow.operating.operator import LEADER, Operator, open_operator
from kring.flow.operating.rounds import Rounds
from kring.flow.operating.telling import telling
from kring.flow.operating.training import Trainer
from kring.flow.operator.alarms import open_metrics
from kring.flow.operator.rollouts import begun_at
from kring.flow.probing import probes_due
from kring.flow.project import Project
from kring.flow.versions import verified
from kring.flow.watching.keeping import read_seen, write_seen
from kring.flow.watching.watcher import Watcher, rehearsed, watcher_of
from kring.record.operator import OperatorEvent, OperatorState, Retrained
from kring.record.rollout import Brake
from kring.record.version import Policy

LEASE_S: Final = 15.0
"""Whoever leads and is not heard of for so long no longer does."""

RENEW_S: Final = 5.0
MINUTE_S: Final = 60.0
HOUR_S: Final = 3600.0
JUMP_S: Final = 60.0
"""A clock that moves so much more or less than time itself has jumped."""

SETTLED_S: Final = 600.0
"""A clock that has jumped may be put right again: no window is closed by it for so long."""

RARELY: Final = 50
"""Two answers are compared so seldom that it takes no more than one in so many seconds."""

MOST_FRAMES: Final = 50_000
"""Frames of one turn: the lease is renewed between turns."""


class Duty:
    """Leads one system for as long as nobody else does. `turn` is to be called about once a second; whatever it raises
    ends the duty, and the next one goes on from what is on the ledger and in the log."""

    def __init__(
        self, project: Project, *, holder: str, environ: Mapping[str, str], say: Callable[[str], None]
    ) -> None:
        self.project = project
        self._holder, self._say, self._environ = holder, say, environ
        self._stack = ExitStack()
        self._due: dict[str, float] = {}
        self._clock = (project.clock.now(), project.clock.monotonic())
        self._settled = project.clock.monotonic()
        self._policies: dict[str, Policy] = {}
        self._shadow_s = 0.0
        self._configuration = Configuration(say=say)
        self._prober = Prober(say=say)
        self._trainer = Trainer(project)
        try:
            self._open()
        except BaseException:
            self._stack.close()
            raise

    def turn(self, *, read_only: bool = False) -> None:
        """What has come since the last turn, and what is due. `read_only` says that no decision can be recorded."""
        self._lead()
        with suppress(Busy):  # somebody else is at the ledger: it is told at a later turn
            record_pulled(self.project)
        self._operator.refresh()
        self._go_by_file()
        now = self.project.clock.now()
        heard, left = now, MOST_FRAMES
        for logged in islice(self._follower.news(until=now), MOST_FRAMES):
            self._rounds.hear(logged)
            self._watcher.hear(logged)
            left -= 1
            heard = now if left else logged.record.at
        brakes: list[Brake] = ["read_only"] if read_only else []
        if self._has_jumped():
            brakes.append("clock")
            self._settled = self.project.clock.monotonic() + SETTLED_S
        self._rounds.turn(lambda: self._follower.cursors, brakes=tuple(brakes))
        self._operator.step(self._events(now, heard=heard))
        self._keep_seen()
        self._train()

    def close(self) -> None:
        """Give the lead back. Closing twice is allowed."""
        with suppress(KringError, AttributeError):
            self._operator.ledger.lease(LEADER, holder=self._holder, ttl=0.0, now=self.project.clock.now())
        self._trainer.stop()
        self._stack.close()

    def _open(self) -> None:
        project = self.project
        ledger = self._stack.enter_context(project.ledger())
        self._operator: Operator = open_operator(
            project, ledger, holder=self._holder, retrain=None, seconds=LEASE_S, right=LEADER, patient=True
        )
        self._telling = self._stack.enter_context(ExitStack())
        self._telling.enter_context(telling(project, environ=self._environ, say=self._say))
        self._log: Frames = Led(adapters.read_log(project.home.log, system=project.system.name), lead=self._lead)
        self._rounds = Rounds(
            self._operator, task=project.task, policy_of=self._policy_of, log=self._log, folder=project.home.log
        )
        seen = read_seen(project)
        self._watcher: Watcher = watcher_of(project, ledger, seen=seen)
        self._kept = seen.until if seen is not None else 0
        watch = project.system.watch
        since = project.clock.now() - watch.quality_us - watch.maturity_us
        self._follower = Follower(self._log, cursors_since(project.home.log, since=since))
        self._trainer.project = project

    def _lead(self) -> None:
        """Stay the one that leads."""
        if self._is_due("lease", RENEW_S):
            ledger = self._operator.ledger
            now = self.project.clock.now()
            lease = ledger.lease(LEADER, holder=self._holder, ttl=LEASE_S, now=now)
            if lease.token != self._operator.token:
                raise Conflict("another operator has led this system meanwhile", next="begin again behind it")

    def _go_by_file(self) -> None:
        """Go by another `kring.toml` or contract; a training that runs goes on, and the log is heard anew where it says
        something else by them. The files are read behind the state, so that a rollout is held against those by which it
        was started, or later ones."""
        while (changed := self._configuration.newer(self.project)) is not None:
            before, self.project = self.project, changed
            self._say(f"{changed.system.name} goes by {changed_in(before, changed)} from now on")
            if not is_heard_alike(before.system, changed.system):
                self._stack.close()
                self._open()
                continue
            self._operator.project = self._trainer.project = changed
            if before.system.notify != changed.system.notify:
                self._telling.close()
                self._telling.enter_context(telling(changed, environ=self._environ, say=self._say))

    def _keep_seen(self) -> None:
        """What drift has seen of the windows whose findings are committed."""
        drifting = self._watcher.monitors.drifting
        if drifting.until > self._kept:
            write_seen(self.project, drifting.seen(self._follower.cursors))
            self._kept = drifting.until

    def _events(self, now: int, *, heard: int) -> list[OperatorEvent]:
        """What the monitors have found, what a shadow says, which drills are overdue. No window is closed before the
        log was `heard` to its end, nor by a clock that has just jumped."""
        if self.project.clock.monotonic() < self._settled:
            heard = 0
        state = self._operator.state
        live = state.pointer.live if state.pointer else ""
        events: list[OperatorEvent] = []
        for end in self._watcher.ends(heard):
            self._lead()
            events += self._watcher.due(end, live=live, alarmed=open_metrics(state, "quality"))
        if heard == now and live and self._is_due("pulse", MINUTE_S):
            pulse = self._watcher.monitors.pulse(now, live=live)
            events += [pulse] if pulse.looked else []
        events += self._shadow_says(state)
        if self._is_due("drills", HOUR_S):
            events += rehearsed(self.project, self._operator.ledger, now=now)
        self._probe(now, live)
        return [*events, *self._prober.found()]

    def _shadow_says(self, state: OperatorState) -> list[OperatorEvent]:
        """What a shadow has said by now: told at once when it is the first of it or when more failed, else each
        minute."""
        rollout = state.rollout
        if rollout is None or rollout.stage != "shadow" or not self._is_due("shadow", self._shadow_s):
            return []
        began = self.project.clock.monotonic()
        said = self._watcher.monitors.windows.compared(rollout.version, since=begun_at(rollout))
        self._shadow_s = min(RARELY * (self.project.clock.monotonic() - began), MINUTE_S)
        known = state.shadow
        if not said.rows or said == known:
            return []
        is_news = known is None or said.failures > known.failures
        return [said] if self._is_due("said", MINUTE_S) or is_news else []

    def _probe(self, now: int, live: str) -> None:
        """Put the fixed questions to the live version, beside all else: it may take long."""
        if not live or self._prober.is_busy or not self._is_due("probes", MINUTE_S):
            return
        if self.project.system.watch.probes is None or not probes_due(self.project, now=now):
            return
        self._prober.start(self.project)

    def _train(self) -> None:
        """The training that the state asks for runs, and no other; how it ended is an event."""
        state = self._operator.state
        if not state.training:
            self._trainer.stop()
            return
        self._trainer.start(state.retraining, id=state.training)
        ended = self._trainer.poll()
        if ended is not None:
            self._operator.step([self._limited(ended)])

    def _limited(self, ended: Retrained) -> Retrained:
        pointer = self._operator.state.pointer
        if ended.result != "pass" or pointer is None:
            return ended
        try:
            policy = self._policy_of(pointer.live)
        except KringError as error:
            self._say(f"nothing is known of the limits of {pointer.live}: {error.message}")
            return ended
        limits = limits_of(self.project, version=pointer.live, policy=policy, log=self._log)
        return msgspec.structs.replace(ended, limits=limits)

    def _policy_of(self, version: str) -> Policy:
        if version not in self._policies:
            self._policies[version] = verified(self.project, version).manifest.chain.policy
        return self._policies[version]

    def _has_jumped(self) -> bool:
        """Whether the clock has moved otherwise than time since the last turn."""
        before, self._clock = self._clock, (self.project.clock.now(), self.project.clock.monotonic())
        wall, passed = (self._clock[0] - before[0]) / 1e6, self._clock[1] - before[1]
        return abs(wall - passed) > JUMP_S

    def _is_due(self, what: str, seconds: float) -> bool:
        at = self.project.clock.monotonic()
        if at < self._due.get(what, at):
            return False
        self._due[what] = at + seconds
        return True
