"""What a version's inputs and outputs looked like when it was made, what is counted of them since, and what bets
against "still the same" have won."""

from __future__ import annotations

from itertools import pairwise
from typing import Final, Literal

import msgspec

from kring.record.running import Season

FeatureKind = Literal["number", "category", "length"]
"""How a column is counted: by its values, by its most frequent texts, or by how long its texts are."""

Cells = tuple[int, ...]
"""Rows per cell. Of numbers and lengths: below the first cut, between the cuts, from the last cut on, missing. Of
categories: each word, any other, missing."""

OFF: Final = "no reference"


class Reference(msgspec.Struct, frozen=True, kw_only=True):
    """One column as it was: `cuts` (rising) or `words` (most frequent first) are frozen. `cells` are the rows of the
    reference by class of window, `""` where all windows are compared. `effects` are the design effects of the tests
    of `kring.watch.binning.shares_of`, in their order; without them rows are taken as independent."""

    feature: str
    kind: FeatureKind
    cuts: tuple[float, ...] = ()
    words: tuple[str, ...] = ()
    cells: dict[str, Cells] = {}
    effects: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if any(left >= right for left, right in pairwise(self.cuts)):
            raise ValueError(f"the cuts of {self.feature!r} do not rise")
        if len(set(self.words)) < len(self.words) or (self.words and self.cuts):
            raise ValueError(f"the words of {self.feature!r} are not once each and without cuts")
        wide = len(self.words or self.cuts) + 2
        if any(len(cells) != wide or min(cells) < 0 for cells in self.cells.values()):
            raise ValueError(f"{self.feature!r} has cells that are not {wide} counts")
        if any(effect < 1 for effect in self.effects):
            raise ValueError(f"{self.feature!r} has a design effect below 1")


class References(msgspec.Struct, frozen=True, kw_only=True):
    """`drift.json` of a version: the `inputs` that its answers come from, in the rows that it learned from, and its own
    `outputs` to the held-out rows. `withheld` names inputs that are personal or identify somebody: they are not
    counted. `season` says which windows, of `window_us` microseconds, share a class."""

    inputs: tuple[Reference, ...] = ()
    outputs: tuple[Reference, ...] = ()
    withheld: tuple[str, ...] = ()
    season: Season = ""
    window_us: int = 0


class FeatureCounts(msgspec.Struct, frozen=True, kw_only=True):
    """What one replica counted of a version in the window from `start` (microseconds UTC) on, in its part `seq`: cells
    by feature. The same (replica, start, seq) is the same part, however often it comes."""

    version: str
    start: int
    features: dict[str, Cells]
    replica: int = 0
    seq: int = 0


class Stretch(msgspec.Struct, frozen=True, kw_only=True):
    """Windows side by side, the first of which began at `start`: what was counted in each cell, and expected."""

    start: int
    cells: Cells
    expected: tuple[float, ...]


class FeatureState(msgspec.Struct, frozen=True, kw_only=True):
    """The bets on one feature: `won` is log(1 + M) of each test, side and bet, in that order. While one of them wins,
    `recent` holds the windows of that time, older ones together."""

    won: tuple[float, ...]
    recent: tuple[Stretch, ...] = ()


class DriftState(msgspec.Struct, frozen=True, kw_only=True):
    """The e-detector of one version's inputs or outputs after `windows` windows, the last of which ended at `until`."""

    version: str
    windows: int = 0
    until: int = 0
    features: dict[str, FeatureState] = {}


class VersionDrift(msgspec.Struct, frozen=True, kw_only=True):
    """One family of a version: its e-detector, and by column why nothing could be said of the last window."""

    family: Literal["drift", "prediction_drift"]
    state: DriftState
    unseen: dict[str, str] = {}


class DriftSeen(msgspec.Struct, frozen=True, kw_only=True):
    """What whoever watches knows after the window that ended at `until`, when it had heard the log of each writer, in
    their order, up to its cursor `heard`: rows of earlier windows before these cursors were counted."""

    until: int = 0
    heard: tuple[tuple[int, tuple[int, int]], ...] = ()
    versions: tuple[VersionDrift, ...] = ()
