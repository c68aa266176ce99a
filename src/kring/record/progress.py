"""What the tests of a rollout have seen: counts that arrive, e-values that stand, and what follows from them.

*New* is the version that is being released, *old* the one before it, also while the new one bakes and answers nearly
everything. An e-value is kept as its natural logarithm, for each bet of its mixture; a mixture is at most 1 on average
when the version is what the test doubts, and large when it is not. Only counts arrive; they are added by replica
(`release/judging.py: merged`) before they are looked at.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from kring.record.rollout import Route
from kring.record.running import GuardrailKind

Ranges = tuple[tuple[int, int], ...]
"""Numbers that were seen, as rising ranges (first, last) with gaps between them."""

Sign = Literal["roll_back", "advance", "wait", "hold"]


class Cohort(msgspec.Struct, frozen=True, array_like=True):
    """Units first seen in the batch `batch`, at one look: of `new` and `old` units that were not yet bad before it,
    whether or not they came back, `new_bad` and `old_bad` are bad now."""

    batch: int
    new: int
    old: int
    new_bad: int
    old_bad: int


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """What one look adds for one guardrail, or for one of its limits.

    `cohorts` are those in which a unit has become bad: the others change nothing, and may be left out of a look that is
    not merged with another any more. The rest counts units that are complete, each once, at the look at which nothing
    can change them any more: a request at once, a subject's day when the day and the age of its outcomes have passed.
    """

    cohorts: tuple[Cohort, ...] = ()
    new_good: int = 0
    new_bad: int = 0
    old_good: int = 0
    old_bad: int = 0


class Counted(msgspec.Struct, frozen=True, kw_only=True):
    """What one look adds for the guardrail `name`: one `Counts`, or one for each of its limits in their order."""

    name: str
    parts: tuple[Counts, ...]


class Arms(msgspec.Struct, frozen=True, array_like=True):
    """Units first seen while the new version had the `share` (0 to 1) of them."""

    share: float
    new: int
    old: int


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """What the batch `batch` adds. A number that was seen before adds nothing.

    `units` are all that were first seen in it (new, old), `timed` those of them whose first row was asked alone, `arms`
    those that say something of the split; `coverage` are cohorts that have reached the age of their outcomes, each
    once: `new` and `old` are all of their units, `new_bad` and `old_bad` those *with* a label.
    """

    batch: int
    units: tuple[int, int] = (0, 0)
    timed: tuple[int, int] = (0, 0)
    arms: tuple[Arms, ...] = ()
    guardrails: tuple[Counted, ...] = ()
    coverage: tuple[Cohort, ...] = ()


class PairedLook(msgspec.Struct, frozen=True, kw_only=True):
    """What the batch `batch` of shadowed rows adds: log e for each bet, `logs` on the shadow and `harm` against it, and
    how much worse the shadow was in all, as a multiple of the largest loss."""

    batch: int
    rows: int
    logs: tuple[float, ...]
    worse: float
    harm: tuple[float, ...] = ()


class PartProgress(msgspec.Struct, frozen=True, kw_only=True):
    """The e-processes of one guardrail, or of one of its limits.

    `harm`: log e against "not worse than before", for each bet. `safe`: log e against "at least m times as bad", for
    each bet, by the text of each margin m in use. The floor's e-value follows from the complete units of the new
    version, `new_good` and `new_bad`. `new_found` and `old_found` are all bad units so far, complete or not.
    """

    harm: tuple[float, ...]
    safe: dict[str, tuple[float, ...]]
    new_found: int = 0
    old_found: int = 0
    new_good: int = 0
    new_bad: int = 0
    old_good: int = 0
    old_bad: int = 0


class GuardrailProgress(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known about one guardrail."""

    name: str
    kind: GuardrailKind
    route: Route
    parts: tuple[PartProgress, ...]


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """All that the tests of one rollout have seen. Equal looks in any order give an equal record.

    `units` are all units so far (new, old), `timed` those whose latency counts, `arms` those of each share that say
    something of the split; `split` and `coverage` are log e for each bet against "as planned" and against "labels come
    evenly"; `labels` counts units that reached the age of their outcomes (new, old) and those of them with a label
    (new, old); `paired` is log e for each bet against "worse by `delta` or more", `paired_harm` against "no worse than
    by `delta`".
    """

    rollout: str
    seen: Ranges = ()
    units: tuple[int, int] = (0, 0)
    timed: tuple[int, int] = (0, 0)
    arms: tuple[Arms, ...] = ()
    guardrails: tuple[GuardrailProgress, ...] = ()
    split: tuple[float, ...] = ()
    coverage: tuple[float, ...] = ()
    labels: tuple[int, int, int, int] = (0, 0, 0, 0)
    paired: tuple[float, ...] = ()
    paired_harm: tuple[float, ...] = ()
    paired_rows: int = 0
    paired_worse: float = 0.0
    paired_seen: Ranges = ()


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """Where one guardrail stands. `harm` and `proof` are log e; each counts when it reaches its line. `proof` is that
    of the guardrail's route at this step, of its weakest limit, and so are the counts: complete units, bad ones of
    them, all bad ones found so far, and the units among which these were found."""

    name: str
    route: Route
    harm: float
    harm_line: float
    proof: float
    proof_line: float
    new_units: int
    new_bad: int
    old_units: int
    old_bad: int
    new_found: int
    old_found: int
    new_seen: int
    old_seen: int

    @property
    def proven(self) -> bool:
        return self.proof >= self.proof_line


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """What to do now, and why. `harm` is log e over all guardrails together, which rolls back at `harm_line`."""

    verdict: Sign
    why: str
    guilty: tuple[str, ...]
    missing: tuple[str, ...]
    brakes: tuple[str, ...]
    harm: float
    harm_line: float
    standings: tuple[Standing, ...]


class PlannedStep(msgspec.Struct, frozen=True, kw_only=True):
    """What one step of an equal version takes: units in all and days at the system's traffic (None: it has no end).
    `waits_for` is the guardrail that takes longest, `why` says why it never ends."""

    step: int
    units: int | None
    days: float | None
    waits_for: str = ""
    why: str = ""


class PlannedDetection(msgspec.Struct, frozen=True, kw_only=True):
    """How many units in all, and days, it takes at `step` to roll back a version that is `times` as bad in the
    guardrail `name`, and how many of them the new version answers (None: never)."""

    name: str
    step: int
    times: float
    units: int | None
    new_units: int | None
    days: float | None


class Reckoned(msgspec.Struct, frozen=True, kw_only=True):
    """What a plan goes by for the guardrail `name`: the `rate` of bad units and the `share` of units that count for it
    (0 to 1), and in words where that is from."""

    name: str
    rate: float
    share: float
    source: str


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a rollout will take, before it starts: `days` from the first step to full traffic, if it ever gets there.
    `reckoned` is what it goes by; `shadow` says what its shadow lacks to be compared, and what follows from that."""

    per_day: float
    steps: tuple[PlannedStep, ...]
    detections: tuple[PlannedDetection, ...]
    days: float | None
    reckoned: tuple[Reckoned, ...] = ()
    shadow: str = ""
