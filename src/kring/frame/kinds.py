"""What a key of `kring.toml` may hold: the annotated types of which the tables are made.

In `Meta.extra`, `allowed` says in words what is allowed, `fits` is a further test of a text, and
`unique` refuses an item that is listed twice.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import Meta

from kring.frame import durations

FORM: Final = "file.py:function"
NAME: Final = r"^[a-z][a-z0-9_-]{0,62}$"
COLUMN: Final = r"^[A-Za-z_][A-Za-z0-9_]{0,62}$"
GATE: Final = r"^\s*(>=|>|<=|<)\s*[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?\s*$"

Name = Annotated[
    str,
    Meta(pattern=NAME, extra={"allowed": "a name in lower-case letters, digits, - and _ (a letter first, 63 at most)"}),
]
ColumnName = Annotated[
    str,
    Meta(pattern=COLUMN, extra={"allowed": "a name in letters, digits and _ (no digit first, 63 at most)"}),
]
Text = Annotated[str, Meta(pattern=r"\S", extra={"allowed": "a text"})]
Duration = Annotated[
    str,
    Meta(
        pattern=durations.PATTERN,
        extra={"allowed": f"a duration such as {durations.EXAMPLES}", "fits": durations.fits},
    ),
]
LongerDuration = Annotated[
    str,
    Meta(
        pattern=durations.PATTERN_ABOVE_ZERO,
        extra={"allowed": f"a duration above zero such as {durations.EXAMPLES}", "fits": durations.fits},
    ),
]
Share = Annotated[float, Meta(gt=0, lt=1, extra={"allowed": "a share between 0 and 1 (5 % is 0.05)"})]
ShareOrNone = Annotated[float, Meta(ge=0, lt=1, extra={"allowed": "a share from 0 up to 1 (5 % is 0.05)"})]
Count = Annotated[int, Meta(ge=1, le=10**12, extra={"allowed": "a whole number from 1 on"})]
Variable = Annotated[
    str,
    Meta(pattern=r"^[A-Z_][A-Z0-9_]{0,62}$", extra={"allowed": "the name of an environment variable"}),
]
Cron = Annotated[
    str,
    Meta(
        pattern=r"^\s*\S+(\s+\S+){4}\s*$",
        extra={"allowed": 'minute, hour, day, month and weekday such as "0 3 * * 1"'},
    ),
]
Price = Annotated[float, Meta(ge=0, description="The price of one such mistake; MISTAKE is a word of the task")]
Amount = Annotated[float, Meta(ge=0, le=1e9, extra={"allowed": "a number from 0 to 1e9"})]
Function = Annotated[
    str,
    Meta(
        pattern=r"^[^:\\\s][^:\\]*\.py:[A-Za-z_][A-Za-z0-9_]*$",
        extra={"allowed": f'"{FORM}" in the system\'s folder'},
    ),
]
GateText = Annotated[
    str,
    Meta(
        pattern=GATE,
        description="What the whole 95 % interval of METRIC must be for the gate to pass",
        extra={"allowed": 'a comparison such as "> 0", ">= 0.6", "< 1" or "<= 20"'},
    ),
]
Percent = Annotated[int, Meta(ge=1, le=99, extra={"allowed": "a whole percentage from 1 to 99"})]
PerSecond = Annotated[float, Meta(gt=0, le=1e9)]
AtOnce = Annotated[int, Meta(ge=1, le=10**9)]
Scalar = bool | int | float | str
Builtin = Literal["prior", "linear", "boosted", "forest", "lightgbm", "xgboost", "retrieval", "canned"]
Unique: Final = Meta(extra_json_schema={"uniqueItems": True}, extra={"unique": True})
