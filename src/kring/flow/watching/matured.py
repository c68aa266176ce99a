"""Calibration and fairness over the windows whose outcomes have matured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from kring.flow.watching.labelled import Labelled
from kring.flow.watching.windows import FEW_DRAWS, WATCH_DRAWS
from kring.metrics.gates import beyond, covers, judge_line, parse_line
from kring.record.alarm import Breach
from kring.record.evidence import Measure
from kring.record.system import System
from kring.record.verdict import GateLine, Judgement
from kring.watch.estimates import effect_of_gap
from kring.watch.groups import PREFIX, fairness_of, furthest
from kring.watch.judging import Found
from kring.watch.quality import told

CALIBRATED: Final = parse_line("calibration_error", "<= 0.05")
"""What holds for calibration where the gate does not speak of it."""


class Matured:
    """Judges what `windows` hold for a live version."""

    def __init__(self, system: System, windows: Labelled) -> None:
        self._system = system
        self.windows = windows

    def judged(self, live: str, *, end: int) -> list[Found]:
        """Calibration and fairness over the windows whose outcomes have matured."""
        watch, gate = self._system.watch, self._system.gate
        matured = end - watch.maturity_us
        if len(self.windows.labelled(live, start=matured - watch.quality_us, end=matured)) < watch.min_windows:
            return []
        found: list[Found] = []
        if not any(covers(line, CALIBRATED.metric) for line in gate.lines):
            found += self._calibration(live, end=matured)
        lines = [line for line in gate.lines if line.metric.startswith(PREFIX)]
        return found + (self._fairness(live, lines, end=matured) if lines else [])

    def _calibration(self, live: str, *, end: int) -> list[Found]:
        start, seed = end - self._system.watch.quality_us, end // 1_000_000
        for draws in (FEW_DRAWS, WATCH_DRAWS):
            measures = self.windows.measures(live, live, start=start, end=end, seed=seed, draws=draws)
            mine = [each for each in measures if covers(CALIBRATED, each.name)]
            if not mine or (draws == FEW_DRAWS and not beyond(CALIBRATED, mine[0])):
                return [Found("calibration/calibration_error//", None)] if mine else []
        [line] = judge_line(CALIBRATED, mine, min_rows=self._system.gate.min_rows)
        if line.result != "fail":
            return [Found("calibration/calibration_error//", None)]
        lost = self.windows.misjudged(live, start=start, end=end, seed=seed, draws=WATCH_DRAWS)
        named = msgspec.structs.replace(
            _breach(line, since=start), kind="calibration", what=off_by(line), sure=in_points(line),
            effect=effect_of_gap(lost),
        )  # fmt: skip
        return [Found("calibration/calibration_error//", named)]

    def _fairness(self, live: str, lines: Sequence[GateLine], *, end: int) -> list[Found]:
        measures = self.fairness(live, end=end)
        start = end - self._system.watch.quality_us
        windows = self.windows.grouped(live, start=start, end=end)
        found: list[Found] = []
        for line in lines:
            mine = [each for each in measures if covers(line, each.name)]
            for judged in judge_line(line, mine, min_rows=self._system.gate.min_rows) if mine else ():
                column = next(one for one in self.windows.groupings[live] if judged.metric.endswith(f".{one}"))
                breach = _breach(judged, since=start) if judged.result == "fail" else None
                key = f"fairness/{judged.metric}/{column}/"
                if breach is not None:
                    words = furthest(
                        windows, self.windows.groupings[live][column], column=column, measure=judged.metric
                    )
                    what = f"{breach.what}; {words}" if words else breach.what
                    breach = msgspec.structs.replace(breach, kind="fairness", feature=column, what=what)
                found.append(Found(key, breach))
        return found

    def fairness(self, version: str, *, end: int, draws: int = WATCH_DRAWS) -> list[Measure]:
        """How far rates of groups lie apart in the windows that have matured by `end`."""
        windows = self.windows.grouped(version, start=end - self._system.watch.quality_us, end=end)
        return fairness_of(windows, self.windows.groupings.get(version, {}), draws=draws, seed=end // 1_000_000)


def _breach(line: Judgement, *, since: int) -> Breach:
    return Breach(
        metric=line.metric,
        value=line.value,
        low=line.low,
        high=line.high,
        allowed=line.rule,
        rows=line.rows,
        since=since,
        what=told(line),
        sure=f"the 95 % interval ({line.low:.4g} to {line.high:.4g}) lies wholly beyond what is allowed",
    )


def in_points(line: Judgement) -> str:
    """How sure a calibration error is, in the unit of its sentence."""
    assert line.low is not None
    assert line.high is not None
    return (
        f"the 95 % interval ({100 * line.low:.1f} to {100 * line.high:.1f} points) lies wholly beyond what is allowed"
    )


def off_by(line: Judgement) -> str:
    """A calibration error in a sentence."""
    assert line.value is not None
    limit = 100 * CALIBRATED.limit
    return (
        f"its probabilities lie {100 * line.value:.1f} points from the shares that come true, on average; "
        f"{limit:g} are allowed"
    )
