"""Ids: 128 bits there and back, places in decision ids."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kring.errors import NotFound
from kring.metrics.ids import (
    ALPHABET,
    crockford,
    decision_block,
    decision_bytes,
    decision_id,
    decision_ids,
    decision_place,
    decision_raw,
    digest_id,
    fresh_id,
    from_crockford,
)
from kring.record.decision import Place

places = st.builds(
    Place,
    at_ms=st.integers(0, 2**48 - 1),
    writer=st.integers(0, 2**12 - 1),
    segment=st.integers(0, 2**24 - 1),
    sequence=st.integers(0, 2**38 - 3001),
)


@given(number=st.integers(0, 2**128 - 1))
def test_crockford_there_and_back(number: int) -> None:
    text = crockford(number)
    assert len(text) == 26
    assert set(text) <= set(ALPHABET)
    assert from_crockford(text) == number
    assert sum(ALPHABET.index(digit) << 5 * place for place, digit in enumerate(reversed(text))) == number


@given(one=st.integers(0, 2**128 - 1), two=st.integers(0, 2**128 - 1))
def test_texts_sort_as_numbers(one: int, two: int) -> None:
    assert (crockford(one) < crockford(two)) == (one < two)


@pytest.mark.parametrize("number", [-1, 2**128])
def test_an_id_has_128_bits(number: int) -> None:
    with pytest.raises(ValueError, match="128 bits"):
        crockford(number)


@pytest.mark.parametrize("text", ["", "0" * 25, "0" * 27, "8" + "0" * 25, "I" + "0" * 25, "o" * 26, "０" * 26])
def test_what_is_no_id_is_not_found(text: str) -> None:
    with pytest.raises(NotFound, match="not an id"):
        from_crockford(text)


@given(place=places)
def test_places_there_and_back(place: Place) -> None:
    raw = decision_bytes(place)
    assert decision_place(raw) == place
    assert decision_raw(decision_id(raw)) == raw
    assert uuid.UUID(bytes=raw).version == 8
    assert uuid.UUID(bytes=raw).variant == uuid.RFC_4122


@given(place=places, n=st.integers(0, 3000))
def test_a_block_is_its_ids_one_by_one(place: Place, n: int) -> None:
    ids, block = decision_ids(place, n), decision_block(place, n)
    assert len(ids) == n
    assert block.shape == (n, 16)
    for row in {0, 1, n // 2, n - 2, n - 1} & set(range(n)):
        raw = decision_bytes(
            Place(at_ms=place.at_ms, writer=place.writer, segment=place.segment, sequence=place.sequence + row)
        )
        assert block[row].tobytes() == raw
        assert ids[row] == decision_id(raw)
    assert ids == sorted(set(ids))


@pytest.mark.parametrize(
    "place",
    [
        Place(at_ms=-1, writer=0, segment=0, sequence=0),
        Place(at_ms=2**48, writer=0, segment=0, sequence=0),
        Place(at_ms=0, writer=2**12, segment=0, sequence=0),
        Place(at_ms=0, writer=0, segment=2**24, sequence=0),
        Place(at_ms=0, writer=0, segment=0, sequence=2**38),
    ],
)
def test_a_place_that_does_not_fit(place: Place) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        decision_bytes(place)


@pytest.mark.parametrize("make", [decision_ids, decision_block])
def test_the_last_sequence_is_the_last(make: object) -> None:
    place = Place(at_ms=0, writer=0, segment=0, sequence=2**38 - 2)
    assert callable(make)
    assert len(make(place, 2)) == 2
    with pytest.raises(ValueError, match="does not fit"):
        make(place, 3)


@given(raw=st.binary(max_size=20))
def test_bytes_that_nobody_made(raw: bytes) -> None:
    try:
        place = decision_place(raw)
    except NotFound:
        return
    assert decision_bytes(place) == raw


@given(at=st.integers(0, 2**48 * 1000 - 1), later=st.integers(1000, 10**9), entropy=st.binary(min_size=10, max_size=10))
def test_fresh_ids_sort_by_time(at: int, later: int, entropy: bytes) -> None:
    one = fresh_id("r", at=at, entropy=entropy)
    assert one.startswith("r_")
    assert len(one) == 28
    if (at + later) // 1000 < 2**48:
        assert one < fresh_id("r", at=at + later, entropy=bytes(10)) or (at + later) // 1000 == at // 1000


def test_equal_content_has_an_equal_id() -> None:
    digest = "ab" * 32
    assert digest_id("v", digest) == digest_id("v", digest[:32] + "cd" * 16) == "v_" + crockford(int("ab" * 16, 16))
