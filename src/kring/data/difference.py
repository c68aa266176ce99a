"""What changed from one snapshot to another: rows, columns, and what the columns look like."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import polars as pl

from kring.record.contract import Scalar
from kring.record.snapshot import ColumnChange, ColumnProfile, Snapshot, SnapshotDiff

MOST: Final = 20
LONGEST: Final = 80
SIDES: Final = ("before", "after")
MARK: Final = "\x1f"


def difference(
    before: Snapshot,
    after: Snapshot,
    *,
    frames: tuple[pl.DataFrame, pl.DataFrame],
    key: Sequence[str],
    private: Sequence[str] = (),
) -> SnapshotDiff:
    """Hold two snapshots with their rows against each other.

    `key` is the primary key of the contract. Where a value of it repeats or is missing, or a column of it is
    not in both, rows are compared whole instead, and `note` says so. Of columns in `private` no value is shown.
    """
    left, right = frames
    shared = [name for name in left.columns if name in right.columns and left[name].dtype == right[name].dtype]
    retyped = [
        (name, str(left[name].dtype), str(right[name].dtype))
        for name in left.columns
        if name in right.columns and name not in shared
    ]
    note = _why_not(frames, shared, key) if key else ""
    keys = tuple(key) if key and not note else ()
    found = _by_key(frames, shared, keys) if keys else _whole(frames, shared)
    same = min(left.height, right.height) if not shared else left.height - found["removed"] - found["changed"]
    return SnapshotDiff(
        before=before.id,
        after=after.id,
        key=keys,
        rows=(left.height, right.height),
        added=found["added"],
        removed=found["removed"],
        changed=found["changed"],
        same=same,
        columns_added=tuple(name for name in right.columns if name not in left.columns),
        columns_removed=tuple(name for name in left.columns if name not in right.columns),
        columns_retyped=tuple(retyped),
        columns=_columns(before, after, frames, found, private),
        note=note,
    )


def _why_not(frames: tuple[pl.DataFrame, pl.DataFrame], shared: Sequence[str], key: Sequence[str]) -> str:
    """Why rows can't be found by their key; empty when they can."""
    lost = [name for name in key if name not in shared]
    if lost:
        return f"rows are compared whole: {', '.join(lost)} of the key is not in both in one type"
    for frame, side in zip(frames, SIDES, strict=True):
        keys = frame.select(key)
        if keys.drop_nulls().height < keys.height or keys.n_unique() < keys.height:
            return f"rows are compared whole: the key {', '.join(key)} repeats or is missing {side}"
    return ""


def _by_key(frames: tuple[pl.DataFrame, pl.DataFrame], shared: Sequence[str], key: Sequence[str]) -> dict[str, int]:
    """Rows added, removed and changed, and under each column's name in how many rows its value changed."""
    left, right = (frame.select(shared) for frame in frames)
    values = [name for name in shared if name not in key]
    both = left.join(right, on=list(key), how="inner", suffix=MARK)
    differs = [pl.col(name).ne_missing(pl.col(f"{name}{MARK}")).alias(name) for name in values]
    flags = both.select(differs)
    changed = int(flags.select(pl.any_horizontal(pl.all()).sum()).item()) if values and both.height else 0
    counts = {f"column {name}": int(flags[name].sum()) for name in values} if both.height else {}
    return {
        "added": right.height - both.height,
        "removed": left.height - both.height,
        "changed": changed,
        **counts,
    }


def _whole(frames: tuple[pl.DataFrame, pl.DataFrame], shared: Sequence[str]) -> dict[str, int]:
    """Rows of each side beyond those that the other has as often."""
    left, right = frames
    if not shared:
        more = right.height - left.height
        return {"added": max(0, more), "removed": max(0, -more), "changed": 0}
    sides = [frame.select(shared).with_columns(pl.lit(sign).alias(MARK)) for frame, sign in ((left, -1), (right, 1))]
    extra = pl.concat(sides).lazy().group_by(shared).agg(pl.col(MARK).sum()).select(MARK)
    row = extra.select(
        added=pl.col(MARK).filter(pl.col(MARK) > 0).sum(), removed=-pl.col(MARK).filter(pl.col(MARK) < 0).sum()
    ).collect()
    return {"added": int(row["added"][0]), "removed": int(row["removed"][0]), "changed": 0}


def _columns(
    before: Snapshot,
    after: Snapshot,
    frames: tuple[pl.DataFrame, pl.DataFrame],
    found: dict[str, int],
    private: Sequence[str],
) -> tuple[ColumnChange, ...]:
    """The columns of both snapshots, in the order of the later one."""
    old = {profile.name: profile for profile in before.columns}
    changes = []
    for new in after.columns:
        if new.name not in old:
            continue
        came, went = _categories(frames, new) if new.name not in private else ([], [])
        changes.append(
            ColumnChange(
                name=new.name,
                changed=found.get(f"column {new.name}", 0),
                missing=(_share(old[new.name]), _share(new)),
                distinct=(old[new.name].distinct, new.distinct),
                mean=(old[new.name].mean, new.mean),
                came=tuple(came[:MOST]),
                went=tuple(went[:MOST]),
                came_more=max(0, len(came) - MOST),
                went_more=max(0, len(went) - MOST),
            )
        )
    return tuple(changes)


def _categories(frames: tuple[pl.DataFrame, pl.DataFrame], profile: ColumnProfile) -> tuple[list[str], list[str]]:
    """Values of a text or truth that came and went, sorted."""
    if profile.type not in ("string", "boolean"):
        return [], []
    left, right = (_values(frame, profile.name) for frame in frames)
    return sorted(right - left), sorted(left - right)


def _values(frame: pl.DataFrame, name: str) -> set[str]:
    return {_word(value) for value in frame[name].drop_nulls().unique().to_list()} if name in frame.columns else set()


def _word(value: Scalar) -> str:
    return (str(value).lower() if isinstance(value, bool) else str(value))[:LONGEST]


def _share(profile: ColumnProfile) -> float:
    return profile.missing / profile.rows if profile.rows else 0.0
