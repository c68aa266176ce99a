"""What `kring new` makes of a table: types, roles, what is left out and why, and how rows are held out."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from kring.errors import DataError
from kring.frame import inspect
from kring.frame.contract_text import contract_text
from kring.frame.inspect import look
from kring.frame.propose import Proposal, plain_name, propose, system_name
from kring.frame.texts import guess

ROWS = 400
CHANCE = np.random.default_rng(5)
SIGNAL = CHANCE.normal(size=ROWS).round(3)
NOISE = CHANCE.normal(size=ROWS).round(3)
YES = np.where(SIGNAL + CHANCE.normal(size=ROWS) > 0, "yes", "no")


def texts(**columns: object) -> pl.LazyFrame:
    """Columns as a CSV file gives them: all of them texts."""
    frame = pl.DataFrame({name: pl.Series(values, strict=False) for name, values in columns.items()})
    return frame.select(pl.all().cast(pl.String)).lazy()


def proposed(target: str = "y", **columns: object) -> Proposal:
    given = {"signal": SIGNAL, **columns}
    given.setdefault("y", YES)
    return propose(look(texts(**given), target=target), target)


@pytest.mark.parametrize(
    ("values", "type", "format"),
    [
        (["1", "0", "1"], "boolean", ""),
        (["Yes", "no", "TRUE", "yes"], "string", ""),
        (["Yes", "NO", "yes"], "string", ""),
        (["yes", "no"], "boolean", ""),
        (["J", "N"], "string", ""),
        (["1", "2", "-7"], "integer", ""),
        (["01234", "90210"], "string", ""),
        (["1", "2.5"], "number", ""),
        (["1e3", ".5"], "number", ""),
        (["1,5", "2"], "number", ""),
        (["1.234,5", "2"], "string", ""),
        (["2024-01-31", "1855-12-01"], "date", ""),
        (["2024-01-31T10:00:00Z", "1969-12-31 23:59"], "timestamp", ""),
        (["31.01.2024", "01.12.1869"], "date", "dd.MM.yyyy"),
        (["1.2.2024", "31.12.1869"], "date", "d.M.yyyy"),
        (["1/13/2011", "12/1/1911"], "date", "M/d/yyyy"),
        (["13/1/2011", "1/12/1911"], "date", "d/M/yyyy"),
        (["31.01.2024 17:05", "01.12.1869 00:00"], "timestamp", "dd.MM.yyyy HH:mm"),
        (["1/2/2011", "3/4/2012"], "string", ""),
        (["2024-01-31", "31.01.2024"], "string", ""),
        (["2024-02-30", "2024-01-01"], "string", ""),
        (["", " "], "string", ""),
        (["99999999999999999999", "1"], "number", ""),
    ],
)
def test_texts_tell_their_type(values: list[str], type: str, format: str) -> None:
    found = guess("x", values).fields[0]
    if values == ["Yes", "no", "TRUE", "yes"]:
        assert found.type == "string"  # three words are no boolean
    elif values == ["Yes", "NO", "yes"]:
        assert found.type == "boolean"
    else:
        assert (found.type, found.format) == (type, format)
    assert guess("x", values).fields[-1].type == "string"


def test_a_decimal_comma_and_signs_for_nothing_are_told() -> None:
    assert guess("x", ["1,5", "-2,25"]).fields[0].decimal == ","
    found = guess("x", [*map(str, range(20)), "n/a", "?"])
    assert (found.fields[0].type, found.markers) == ("integer", ("?", "n/a"))
    assert guess("x", ["1", "2", "n/a", "?"]).fields[0].type == "string"


def test_days_that_can_be_read_in_two_ways_or_are_mixed_are_left_out() -> None:
    either = [f"{1 + n % 12}/{1 + n % 11}/2020" for n in range(ROWS)]
    mixed = [["2020-01-02", "1.2.2020", "1/20/2020"][n % 3] for n in range(ROWS)]
    uses = proposed(either=either, mixed=mixed).uses
    assert "d/M/yyyy" in uses["either"].left_out
    assert "several ways" in uses["mixed"].left_out


def test_a_guess_from_the_sample_is_proved_on_all_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SAMPLE_ROWS", "LEAST_SAMPLE"):
        monkeypatch.setattr(inspect, name, 100)
    monkeypatch.setattr(inspect, "BLOCK", 10)
    values = [str(n) for n in range(2000)]
    late = [*values[:-1], "2.5"]
    broken = [*values[:-1], "a word"]
    looked = look(texts(whole=values, late=late, broken=broken), target="whole")
    assert looked.sample.height < 300
    assert [looked.columns[name].type for name in ("whole", "late", "broken")] == ["integer", "number", "string"]
    assert (looked.columns["late"].low, looked.columns["late"].high) == (0.0, 1998.0)
    assert looked.columns["whole"].unique


def test_columns_that_teach_nothing_are_left_out_and_say_why() -> None:
    uses = proposed(
        constant=["x"] * ROWS,
        empty=pl.Series([None] * ROWS, dtype=pl.String),
        mostly=["7" if n < 5 else None for n in range(ROWS)],
        number=[n * 3 + 5 for n in range(ROWS)],
        row_id=[n * 3 + 5 for n in range(ROWS)],
        counter=list(range(ROWS)),
        code=[f"K-{n:05d}" for n in range(ROWS)],
        story=[f"the customer called about item {n} and was not happy" for n in range(ROWS)],
        email=[f"p{n}@example.org" for n in range(ROWS)],
        kind=["abc"[n % 3] for n in range(ROWS)],
    ).uses
    said = {name: use.left_out for name, use in uses.items()}
    words = {
        "constant": 'always "x"',
        "empty": "nothing",
        "mostly": "missing in 98.8%",
        "row_id": "another number in each row",
        "counter": "another number in each row",
        "code": "another text",
        "story": "free text",
        "email": "token",
        "kind": "",
        "signal": "",
    }
    assert all(part in said[name] and bool(part) == bool(said[name]) for name, part in words.items()), said
    assert uses["email"].identifier


def test_columns_that_give_the_answer_away_are_left_out() -> None:
    code = np.where(YES == "yes", "A", "B")
    cost = np.where(YES == "yes", 10.0, 3.0) + NOISE / 100
    uses = proposed(code=code, cost=cost).uses
    assert "gives the answer away" in uses["code"].left_out
    assert "gives the answer away" in uses["cost"].left_out
    assert not uses["signal"].left_out


def test_columns_that_add_up_to_the_target_are_left_out_together() -> None:
    first, second = CHANCE.integers(0, 90, ROWS), CHANCE.integers(0, 400, ROWS)
    uses = proposed(target="total", first=first, second=second, total=first + second + 7).uses
    assert {name for name, use in uses.items() if "copy of the outcome" in use.left_out} == {"first", "second"}
    other_unit = proposed(target="cm", inch=NOISE, cm=(NOISE * 2.54).round(2)).uses
    assert "gives the answer away" in other_unit["inch"].left_out


def test_protected_columns_are_proposed_by_their_names() -> None:
    found = proposed(sex=CHANCE.choice(["f", "m"], ROWS), age=CHANCE.integers(18, 90, ROWS))
    assert found.protected == ("sex", "age")
    assert "protected" in found.uses["sex"].left_out
    assert not found.uses["age"].left_out


@pytest.mark.parametrize(
    ("values", "output", "positive"),
    [
        (YES, "probability", "yes"),
        (np.where(YES == "yes", "1", "0"), "probability", None),
        (np.where(NOISE > 1, "bad", "good"), "probability", "bad"),
        (CHANCE.choice(["a", "b", "c"], ROWS), "probabilities", None),
        (CHANCE.integers(1, 6, ROWS), "probabilities", None),
        (CHANCE.integers(0, 500, ROWS), "value", None),
        (NOISE, "value", None),
        ((CHANCE.integers(0, 8, ROWS) / 2).round(1), "value", None),
    ],
)
def test_the_target_tells_what_is_asked(values: object, output: str, positive: object) -> None:
    found = proposed(y=values).aim
    assert (found.output, found.positive) == (output, positive)


def test_a_time_column_a_group_the_order_or_chance_hold_rows_out() -> None:
    day = [(date(1960, 1, 1) + timedelta(days=n // 2)).isoformat() for n in range(ROWS)]
    born = [(date(1940, 1, 1) + timedelta(days=31 * n)).isoformat() for n in range(ROWS)]
    timed = proposed(decided=day, born=born)
    assert (timed.split.by, timed.split.time, timed.outcome_after) == ("time", "decided", "1d")
    assert {one.name for one in timed.prepared} >= {"decided_month", "decided_weekday", "born_year"}
    grouped = proposed(customer_id=[f"c{n % 50}" for n in range(ROWS)])
    assert (grouped.split.by, grouped.split.group) == ("group", "customer_id")
    follows = np.where(np.sin(np.arange(ROWS) / 9) + NOISE / 3 > 0, "yes", "no")
    ordered = proposed(y=follows)
    assert ordered.split.by == "order"
    assert ordered.split.no_change > 0.7
    assert proposed().split.by == "random"
    assert proposed(y=np.sort(YES)).split.by == "random"  # sorted by outcome: the last rows are all alike


def test_a_clock_time_gives_hours() -> None:
    at = [(datetime(2024, 1, 1) + timedelta(hours=n)).isoformat() for n in range(ROWS)]
    found = proposed(created_at=at)
    assert found.split.time == "created_at"
    assert [one.expression for one in found.prepared if one.column == "created_at"] == [
        "month(created_at)",
        "weekday(created_at)",
        "hour(created_at)",
    ]


@pytest.mark.parametrize(
    ("target", "values", "words"),
    [
        ("why", YES, "no such column"),
        ("y", ["a"] * ROWS, "same in every row"),
        ("y", [None] * ROWS, "missing in every row"),
        ("y", [f"t{n}" for n in range(ROWS)], "too many different texts"),
        ("y", [f"2024-01-{1 + n % 28:02d}" for n in range(ROWS)], "a moment"),
        ("y", ["a" if n else "b" for n in range(ROWS)], "too rare"),
        ("y", ["abc"[min(2, n)] for n in range(ROWS)], "too rare"),
    ],
)
def test_targets_that_can_not_be_foretold_are_refused(target: str, values: object, words: str) -> None:
    with pytest.raises(DataError, match=words) as caught:
        proposed(target=target, y=pl.Series(values, strict=False))
    assert caught.value.allowed


def test_too_few_rows_and_no_inputs_are_refused() -> None:
    with pytest.raises(DataError, match="too few rows"):
        propose(look(texts(x=[1, 2], y=["a", "b"]), target="y"), "y")
    with pytest.raises(DataError, match="no column is left"):
        propose(look(texts(x=list(range(ROWS)), y=YES), target="y"), "y")


def test_of_very_many_columns_the_strongest_are_inputs() -> None:
    many = {f"c{n}": CHANCE.normal(size=ROWS).round(2) for n in range(230)}
    found = proposed(**many)
    assert len({one.column for one in found.prepared}) == 200
    assert not found.uses["signal"].left_out


def test_names_are_plain_unique_and_no_words_of_the_grammar() -> None:
    taken: set[str] = set()
    for name in ("Total Charges", "total.charges", "Größe", "1st", "in", "true", "名前", "#", "x" * 99, "x" * 98):
        plain = plain_name(name, taken)
        assert plain.isidentifier()
        assert plain.isascii()
        assert plain not in taken
        assert len(plain) <= 63
        taken.add(plain)
    assert {"Total_Charges", "total_charges", "Grosse", "c_1st", "in_", "true_"} <= taken
    assert system_name("My Churn 2024") == "my-churn-2024"
    assert system_name("2024") == "c-2024"


def test_no_value_of_an_identifier_stands_in_the_contract() -> None:
    mails, phones = [f"p{n % 5}@example.org" for n in range(ROWS)], [61_000_000 + 7 * n for n in range(ROWS)]
    found = proposed(contact=mails, phone=phones)
    assert found.uses["contact"].identifier
    assert found.uses["phone"].identifier
    text = contract_text(found, name="calls", source="calls.csv", owner="")
    assert text.count("{property: kring.identifier, value: true}") == 2
    assert "@example.org" not in text
    assert "e+07" not in text
    assert "000000" not in text
