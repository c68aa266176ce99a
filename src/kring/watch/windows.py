"""Windows of counts: merged in any order, looked up by time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from operator import add

from kring.ports.task import Counts
from kring.record.window import Window


def merge_counts(left: Counts, right: Counts) -> dict[str, tuple[int, ...]]:
    """Both together: named vectors added element by element; a name that one side lacks is all zeros there.

    Commutative, associative, `{}` is the identity. ValueError for vectors of different lengths.
    """
    merged = dict(left)
    for name, vector in right.items():
        known = merged.get(name)
        if known is None:
            merged[name] = tuple(vector)
        elif len(known) == len(vector):
            merged[name] = tuple(map(add, known, vector))
        else:
            raise ValueError(f"counts {name!r} have {len(known)} and {len(vector)} numbers")
    return merged


def empty(system: str, version: str) -> Window:
    """The window of no decisions and no time: merging it changes nothing."""
    return Window(system=system, version=version, start=0, end=0, counts={})


def merge(left: Window, right: Window) -> Window:
    """Two windows of one version as one: counts added, from the earlier start to the later end.

    Commutative, associative, `empty` is the identity. ValueError for windows of different versions.
    """
    if (left.system, left.version) != (right.system, right.version):
        raise ValueError(f"windows of {left.version} and {right.version} are not of one version")
    spans = [window for window in (left, right) if window.start < window.end]
    return Window(
        system=left.system,
        version=left.version,
        start=min((window.start for window in spans), default=0),
        end=max((window.end for window in spans), default=0),
        counts=merge_counts(left.counts, right.counts),
    )


def total(windows: Iterable[Window], *, system: str, version: str) -> Window:
    """All of them merged; `empty` for none."""
    merged = empty(system, version)
    for window in windows:
        merged = merge(merged, window)
    return merged


def window_start(at: int, *, width: int) -> int:
    """The start of the window of `width` microseconds that holds the moment `at` (microseconds UTC)."""
    return at - at % width


def trailing(windows: Iterable[Window], *, end: int, span: int) -> tuple[Window, ...]:
    """The windows that lie wholly within the `span` microseconds before `end`, in order of time."""
    inside = [window for window in windows if end - span <= window.start < window.end <= end]
    return tuple(sorted(inside, key=lambda window: window.start))


def paired(windows: Iterable[Window], baseline: Iterable[Window]) -> tuple[Sequence[Counts], Sequence[Counts]]:
    """The counts of the windows that both have, by start, in order of time: what `measure_counts` takes."""
    mine, theirs = _by_start(windows), _by_start(baseline)
    both = sorted(mine.keys() & theirs.keys())
    return [mine[start] for start in both], [theirs[start] for start in both]


def _by_start(windows: Iterable[Window]) -> Mapping[int, Counts]:
    return {window.start: window.counts for window in windows}
