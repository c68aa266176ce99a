"""What changed between two snapshots is what sets say."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kring.contracts.odcs import read
from kring.data.difference import MOST, difference
from kring.data.profile import profile
from kring.record.contract import Contract
from kring.record.finding import CheckReport
from kring.record.snapshot import Snapshot, SnapshotDiff

CONTRACT = """\
apiVersion: v3.1.0
kind: DataContract
id: t
version: 1.0.0
status: active
schema:
  - name: t
    properties:
      - {name: id, logicalType: integer}
      - {name: word, logicalType: string}
      - {name: size, logicalType: number}
"""
SCHEMA = {"id": pl.Int64, "word": pl.String, "size": pl.Float64}


@pytest.fixture(scope="module")
def contract(tmp_path_factory: pytest.TempPathFactory) -> Contract:
    path: Path = tmp_path_factory.mktemp("difference") / "c.odcs.yaml"
    path.write_text(CONTRACT)
    return read(path)


def taken(frame: pl.DataFrame, contract: Contract, *, id: str) -> Snapshot:
    report = CheckReport(
        contract="t",
        contract_digest="",
        source="",
        source_digest="",
        rows=0,
        result="pass",
        findings=(),
        checked=0,
        at=0,
    )
    return Snapshot(
        id=id,
        system="t",
        table="t",
        delta_version=0,
        digest="",
        rows=frame.height,
        columns=profile(frame, contract),
        report=report,
        source="",
        commit="",
        first=0,
        last=0,
        at=0,
        as_of=0,
    )


def compared(
    left: pl.DataFrame,
    right: pl.DataFrame,
    contract: Contract,
    *,
    key: tuple[str, ...] = (),
    private: tuple[str, ...] = (),
) -> SnapshotDiff:
    before, after = taken(left, contract, id="s_1"), taken(right, contract, id="s_2")
    return difference(before, after, frames=(left, right), key=key, private=private)


row = st.tuples(
    st.one_of(st.none(), st.integers(0, 4)), st.sampled_from(["x", "y", None]), st.sampled_from([0.0, 1.5, None])
)


@settings(max_examples=60)
@given(left=st.lists(row, max_size=12), right=st.lists(row, max_size=12))
def test_rows_compared_whole_are_multisets(contract: Contract, left: list[tuple], right: list[tuple]) -> None:
    found = compared(*(pl.DataFrame(rows, schema=SCHEMA, orient="row") for rows in (left, right)), contract)
    before, after = Counter(left), Counter(right)
    assert found.added == (after - before).total()
    assert found.removed == (before - after).total()
    assert (found.same, found.changed) == ((before & after).total(), 0)


by_key = st.dictionaries(
    st.integers(0, 9), st.tuples(st.sampled_from(["x", "y", None]), st.sampled_from([0.0, 1.5, None]))
)


@settings(max_examples=60)
@given(left=by_key, right=by_key)
def test_rows_found_by_key_are_sets(contract: Contract, left: dict[int, tuple], right: dict[int, tuple]) -> None:
    frames = [
        pl.DataFrame([(key, *rest) for key, rest in rows.items()], schema=SCHEMA, orient="row")
        for rows in (left, right)
    ]
    found = compared(frames[0], frames[1], contract, key=("id",))
    both = left.keys() & right.keys()
    assert (found.added, found.removed) == (len(right.keys() - left.keys()), len(left.keys() - right.keys()))
    assert found.changed == sum(left[key] != right[key] for key in both)
    assert found.same == sum(left[key] == right[key] for key in both)
    columns = {one.name: one for one in found.columns}
    assert columns["word"].changed == sum(left[key][0] != right[key][0] for key in both)
    words = [{rest[0] for rest in rows.values()} - {None} for rows in (left, right)]
    assert set(columns["word"].came) == words[1] - words[0]
    assert set(columns["word"].went) == words[0] - words[1]


def frame(**columns: list) -> pl.DataFrame:
    return pl.DataFrame(columns)


def test_columns_that_came_went_and_changed_their_type(contract: Contract) -> None:
    left = frame(id=[1, 2], word=["a", "b"], old=[1, 1])
    right = frame(id=[1, 3], word=[1, 2], new=[1, 1])
    found = compared(left, right, contract, key=("id",))
    assert (found.columns_added, found.columns_removed) == (("new",), ("old",))
    assert found.columns_retyped == (("word", "String", "Int64"),)
    assert (found.added, found.removed, found.changed, found.same) == (1, 1, 0, 1)


@pytest.mark.parametrize(
    ("left", "right", "words"),
    [
        ([1, 1, 2], [1, 2], "repeats or is missing before"),
        ([1, 2], [1, None], "repeats or is missing after"),
        ([1, 2], [1.0, 2.0], "not in both"),
    ],
)
def test_a_key_that_is_none_is_not_used(contract: Contract, left: list, right: list, words: str) -> None:
    sides = [frame(id=ids, word=["x"] * len(ids)) for ids in (left, right)]
    found = compared(sides[0], sides[1], contract, key=("id",))
    assert found.key == ()
    assert words in found.note


def test_nothing_in_common_is_still_told(contract: Contract) -> None:
    found = compared(frame(a=[1, 2, 3]), frame(b=[1]), contract)
    assert (found.added, found.removed, found.same) == (0, 2, 1)


def test_profiles_and_many_categories(contract: Contract) -> None:
    left = frame(id=[1, 2], word=["a", None], size=[1.0, 3.0])
    right = frame(id=list(range(50)), word=[f"w{n:02}" for n in range(50)], size=[None] + [4.0] * 49)
    words = {one.name: one for one in compared(left, right, contract).columns}["word"]
    assert (words.missing, words.distinct) == ((0.5, 0.0), (1, 50))
    assert (len(words.came), words.came_more, words.went) == (MOST, 50 - MOST, ("a",))
    size = {one.name: one for one in compared(left, right, contract).columns}["size"]
    assert (size.mean, size.missing, size.is_change) == ((2.0, 4.0), (0.0, 0.02), True)


def test_values_of_private_columns_are_never_shown(contract: Contract) -> None:
    found = compared(frame(word=["anna"]), frame(word=["otto"]), contract, private=("word",))
    assert "anna" not in str(found)
    assert found.columns[0].came == ()


def test_the_same_is_no_change(contract: Contract) -> None:
    same = frame(id=[1, 2], word=["a", None], size=[1.0, None])
    found = compared(same, same.reverse(), contract)
    assert (found.added, found.removed, found.same) == (0, 0, 2)
    assert not any(one.is_change for one in found.columns)
