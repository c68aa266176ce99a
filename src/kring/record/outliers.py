"""What a version knows of the rows that it learned from, to tell a row that is unlike them."""

from __future__ import annotations

import msgspec

Numbers = tuple[float, ...]


class UsualNumbers(msgspec.Struct, frozen=True, kw_only=True):
    """Columns of numbers. A value is moved by `center` and divided by `scale`, pressed by asinh where `heavy`, and
    moved by `mean`; the product of such a row with `whiten` (a matrix by rows) has the length of its Mahalanobis
    distance. `present` and `absent` are the surprises, in nats, of a value and of a missing one."""

    names: tuple[str, ...] = ()
    center: Numbers = ()
    scale: Numbers = ()
    heavy: tuple[bool, ...] = ()
    mean: Numbers = ()
    whiten: tuple[Numbers, ...] = ()
    present: Numbers = ()
    absent: Numbers = ()


class UsualWords(msgspec.Struct, frozen=True, kw_only=True):
    """One column of categories: the surprise of each of `words`, in nats, and of any other."""

    name: str
    words: tuple[str, ...]
    surprise: Numbers
    other: float


class Usual(msgspec.Struct, frozen=True, kw_only=True):
    """`outliers.json` of a version. A row is an outlier when its surprise is above `threshold`, which is the
    `quantile` of the `rows` rows that were learned from; `held_out` is the share of the held-out rows above it."""

    numbers: UsualNumbers
    words: tuple[UsualWords, ...]
    threshold: float
    quantile: float
    rows: int
    shrinkage: float
    held_out: float
