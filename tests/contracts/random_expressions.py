"""Rows full of edges, random expressions over them, and both compilers side by side."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import polars as pl
from hypothesis import strategies as st

from kring.contracts import to_polars, to_rows
from kring.contracts.functions import FUNCTIONS, OPERATORS
from kring.contracts.grammar import parse, type_of
from kring.contracts.to_polars import DTYPES, typed
from kring.contracts.zones import DAYS, MOMENTS
from kring.record.prepare import LookupTable

TYPES = {
    "a": "number",
    "b": "number",
    "n": "integer",
    "m": "integer",
    "s": "string",
    "u": "string",
    "t": "timestamp",
    "v": "timestamp",
    "d": "date",
    "f": "boolean",
    "g": "boolean",
}
BY_TYPE = {kind: [name for name, other in TYPES.items() if other == kind] for kind in DTYPES}
TABLES = {
    "one": LookupTable(
        name="one", key=("s",), keys=((None,), ("",), ("ß",)), values=(0.5, -1.0, 1e300), default=0.1, cutoff=0, rows=3
    ),
    "two": LookupTable(
        name="two",
        key=("n", "f"),
        keys=((None, None), (0, True), (1, False), (1, True)),
        values=(0.5, 0.0, 0.25, 0.75),
        default=None,
        cutoff=0,
        rows=9,
    ),
    "day": LookupTable(
        name="day", key=("d",), keys=((0,), (19_000,)), values=(1.0, 2.0), default=3.0, cutoff=0, rows=2
    ),
}
ZONES = ("UTC", "Europe/Amsterdam", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "Africa/Monrovia")


def changes() -> list[int]:
    """Moments around which the clocks of ZONES change, and around the year 0, 1970 and 9999."""
    summer = [datetime(year, month, 25, tzinfo=UTC) for year in (1916, 1987, 2013, 2040) for month in (3, 4, 10, 11)]
    seconds = [int((moment - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(seconds=1)) for moment in summer]
    return [second * 1_000_000 for second in seconds] + [0, MOMENTS.start, MOMENTS.stop, -1, 63_593_070_000_000]


FLOATS = st.one_of(
    st.none(),
    st.floats(),
    st.integers(-4, 60).map(lambda k: k / 4),
    st.sampled_from([0.0, -0.0, math.nan, math.inf, -math.inf, 5e-324, 1.7e308, -1.7e308, 0.1, 49.0, 2.0**53, 2.0**63]),
)
INTEGERS = st.one_of(
    st.none(), st.integers(-5, 5), st.integers(-(1 << 63), (1 << 63) - 1), st.sampled_from([1 << 53, (1 << 53) + 1])
)
TEXTS = st.one_of(
    st.none(),
    st.sampled_from(
        ["", "ß", "İ", "ΣΑΣ", "ǅ", " a\xa0", "\u3000\x1c", "A", "a", "é", "e\u0301", "\0", "\U0010ffff", "ﬀ"]
    ),
    st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=6),
)
TIMES = st.one_of(
    st.none(),
    st.builds(
        lambda base, off: base + off, st.sampled_from(changes()), st.integers(-10 * 86_400_000_000, 10 * 86_400_000_000)
    ),
    st.integers(-(1 << 62), 1 << 62),
    st.integers(-3_000_000_000_000_000, 3_000_000_000_000_000),
)
DATES = st.one_of(
    st.none(), st.integers(-40_000, 40_000), st.sampled_from([DAYS.start - 1, DAYS.start, DAYS.stop, 19_000])
)
VALUES = {
    "number": FLOATS,
    "integer": INTEGERS,
    "string": TEXTS,
    "timestamp": TIMES,
    "date": DATES,
    "boolean": st.sampled_from([None, True, False]),
}
ROW = st.fixed_dictionaries({name: VALUES[kind] for name, kind in TYPES.items()})
ROWS = st.one_of(
    st.lists(ROW, min_size=1, max_size=12),
    # polars keeps one value for equal rows and computes with it in another way
    st.builds(lambda row, n: [row] * n, ROW, st.integers(2, 4)),
    st.integers(1, 4).map(lambda n: [dict.fromkeys(TYPES)] * n),
)

LITERALS = {
    "number": st.sampled_from(["0.0", "-0.5", "1e300", "49.3", "3", "1e-9", "7"]),
    "integer": st.sampled_from(["0", "1", "-7", "24", "9223372036854775807"]),
    "string": st.sampled_from(["'a'", "''", "'ß'", "' '", "'\\u00e9'", "'SS'"]),
    "boolean": st.sampled_from(["true", "false"]),
}
KINDS = {
    "number": ("number", "integer"),
    "moment": ("timestamp", "date"),
    "plain": ("string", "integer", "boolean"),
    "any": tuple(DTYPES),
    "same": tuple(DTYPES),
    "ordered": ("string", "number", "integer", "timestamp", "date"),
}
GIVING = {
    kind: [name for name, signature in {**FUNCTIONS, **OPERATORS}.items() if signature.gives in (kind, "same")]
    for kind in DTYPES
}
GIVING["number"].append("round")  # with a number of digits
INFIX = {*"+-*/%", "//", "==", "!=", "<", "<=", ">", ">=", "and", "or"}


@st.composite
def expressions(draw: st.DrawFn, kind: str, depth: int = 4) -> str:
    """The text of a random expression of one type."""
    leaf = depth == 0 or draw(st.integers(0, 3)) == 0
    if leaf or not GIVING[kind]:
        fields = st.sampled_from(BY_TYPE[kind] + (BY_TYPE["integer"] if kind == "number" else []))
        return draw(st.one_of(fields, LITERALS[kind]) if kind in LITERALS else fields)
    if kind == "number" and draw(st.integers(0, 5)) == 0:
        inner = expressions(kind="string", depth=min(1, depth - 1))
        whole = expressions(kind="integer", depth=min(1, depth - 1))
        return draw(
            st.one_of(
                inner.map(lambda e: f'lookup("one", key=[coalesce({e}, s)])'),
                whole.map(lambda e: f'lookup("two", key=[coalesce({e}, n), f])'),
                st.just("lookup('day', key=['d'])"),
            )
        )
    return call(draw, draw(st.sampled_from(GIVING[kind])), kind, depth)


def call(draw: st.DrawFn, name: str, kind: str, depth: int) -> str:
    signature = {**FUNCTIONS, **OPERATORS}[name]
    shared = kind if signature.gives == "same" else draw(st.sampled_from(KINDS["ordered" if name != "==" else "same"]))
    wanted = [
        *signature.parameters,
        *[signature.parameters[-1]] * (draw(st.integers(0, 2)) if signature.repeats else 0),
    ]
    if name == "in":
        shared = draw(st.sampled_from(list(LITERALS)))
        members = draw(st.lists(LITERALS[shared], min_size=1, max_size=3))
        word = draw(st.sampled_from(["in", "not in"]))
        return f"({draw(expressions(kind=shared, depth=depth - 1))} {word} [{', '.join(members)}])"
    parts = []
    for parameter in wanted:
        here = shared if parameter in ("same", "ordered") else draw(st.sampled_from(KINDS.get(parameter, (parameter,))))
        parts.append(draw(expressions(kind=here, depth=depth - 1)))
    if name in INFIX:
        return f"({f' {name} '.join(parts)})"
    if name in ("negative", "not"):
        return f"({'-' if name == 'negative' else 'not'} ({parts[0]}))"
    if signature.option == "zone" and draw(st.booleans()):
        parts.append(repr(draw(st.sampled_from(ZONES))))
    if name == "round" and kind == "number":
        parts.append(str(draw(st.integers(0, 15))))
    if signature.null and draw(st.integers(0, 4)) == 0:
        parts[-1] = "null"
    return f"{name}({', '.join(parts)})"


def frame_of(rows: list[dict[str, object]]) -> pl.DataFrame:
    raw = {"timestamp": pl.Int64(), "date": pl.Int32()}
    frame = pl.DataFrame(rows, schema={name: raw.get(kind, DTYPES[kind]) for name, kind in TYPES.items()}, orient="row")
    return typed(frame, TYPES, fields=list(TYPES))


def exactly(values: list[object]) -> list[str]:
    """What tells 0.0 from -0.0, 1 from 1.0 and from true."""
    return [repr(value) for value in values]


def both(text: str, rows: list[dict[str, object]]) -> tuple[list[object], list[object], list[object]]:
    """The values of an expression by polars, by polars row by row, and by rows."""
    expression = parse(text)
    frame = frame_of(rows)
    by_polars = to_polars.compile(expression, types=TYPES, tables=TABLES).alias("x")
    by_row = to_rows.compile(expression, types=TYPES, tables=TABLES)
    column = frame.with_columns(by_polars)["x"]
    assert column.dtype == DTYPES[type_of(expression, TYPES)]
    single = [frame[i : i + 1].with_columns(by_polars)["x"].to_physical().item() for i in range(min(3, len(rows)))]
    return column.to_physical().to_list(), single, [by_row(row) for row in rows]
