"""Identifiers become tokens before anything is stored."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from kring.data.tokenise import tokenise
from kring.host.random import SeededRandom
from kring.record.contract import Contract, Field
from kring.stores.vault import SqliteVault, open_vault


@pytest.fixture
def vault(tmp_path: Path) -> SqliteVault:
    return open_vault(tmp_path / "vault.db", random=SeededRandom(1))


def contract(*identifiers: str) -> Contract:
    fields = (
        *(Field(name=name, type="string", identifier=True) for name in identifiers),
        Field(name="age", type="integer"),
    )
    return Contract(id="c", name="c", version="1", table="t", fields=fields)


def test_identifiers_become_tokens_and_nothing_else_changes(vault: SqliteVault) -> None:
    frame = pl.DataFrame(
        {"name": ["ada", None, "bob", "ada"], "age": [1, 2, 3, 4], "friend": ["bob", "ada", None, None]}
    )
    hidden = tokenise(frame, contract("name", "friend"), vault)
    ada, bob = vault.tokens(["ada", "bob"])
    assert hidden.columns == frame.columns
    assert hidden["name"].to_list() == [ada, None, bob, ada]
    assert hidden["friend"].to_list() == [bob, ada, None, None]
    assert hidden["age"].equals(frame["age"])


def test_numbers_and_categories_are_subjects_too(vault: SqliteVault) -> None:
    frame = pl.DataFrame({"name": pl.Series([7, None, 8]), "friend": pl.Series(["7", "8", None], dtype=pl.Categorical)})
    hidden = tokenise(frame, contract("name", "friend"), vault)
    seven, eight = vault.tokens(["7", "8"])
    assert hidden["name"].to_list() == [seven, None, eight]
    assert hidden["friend"].to_list() == [seven, eight, None]
    assert hidden.dtypes == [pl.String, pl.String]


def test_order_and_size_stay(vault: SqliteVault) -> None:
    names = [f"subject {number * 7919 % 500}" for number in range(2000)]
    hidden = tokenise(pl.DataFrame({"name": names}), contract("name"), vault)
    assert hidden["name"].to_list() == vault.tokens(names)


@pytest.mark.parametrize(
    "frame",
    [
        pl.DataFrame({"age": [1]}),
        pl.DataFrame({"name": pl.Series([], dtype=pl.String)}),
        pl.DataFrame({"name": pl.Series([None, None], dtype=pl.Null)}),
    ],
)
def test_nothing_to_hide(vault: SqliteVault, frame: pl.DataFrame) -> None:
    hidden = tokenise(frame, contract("name"), vault)
    assert hidden.shape == frame.shape
    assert hidden.to_series().null_count() == frame.to_series().null_count()
