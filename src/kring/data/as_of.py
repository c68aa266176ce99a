"""What was known at a moment: the past, without the outcomes that came later."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl


def as_of(
    feed: pl.LazyFrame, *, time: pl.Expr, known: pl.Expr | None, later: Sequence[str], moment: int, window_us: int
) -> pl.LazyFrame:
    """The rows decided at or before `moment` (microseconds UTC), and after `moment - window_us` when
    a window is given; the columns in `later` are missing where `known` lies after `moment`. Rows whose
    time is missing or can't be read stay, for the contract to find them.

    `time` and `known` give Datetime("us", "UTC"); `known` is None when outcomes need no time.
    """
    at = pl.lit(moment).cast(pl.Datetime("us", "UTC"))
    feed = feed.filter((time <= at).fill_null(True))
    if window_us:
        feed = feed.filter((time > at - pl.duration(microseconds=window_us)).fill_null(True))
    if known is None:
        return feed
    return feed.with_columns(pl.when(known <= at).then(pl.col(name)).alias(name) for name in later)
