"""Words: stems as SQLite's own Porter stemmer makes them, and nothing in a text that isn't a word."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kring.retrieval.porter import stem
from kring.retrieval.words import FAINT_WORDS, MOST_WORDS, STOP_WORDS, asked, telling, visible, words

PORTER = "caresses:caress ponies:poni ties:ti agreed:agre plastered:plaster bled:bled motoring:motor sing:sing"
PORTER += " conflated:conflat troubled:troubl sized:size hopping:hop falling:fall hissing:hiss failing:fail filing:file"
PORTER += (
    " happy:happi sky:sky relational:relat rational:ration digitizer:digit vietnamization:vietnam hopefulness:hope"
)
PORTER += " sensibiliti:sensibl triplicate:triplic electrical:electr goodness:good revival:reviv adoption:adopt"
PORTER += " homologou:homolog probate:probat rate:rate cease:ceas controll:control roll:roll analogousli:analog"


def test_the_paper_s_own_examples():
    for pair in PORTER.split():
        word, expected = pair.split(":")
        assert stem(word) == expected, word


def stemmed_by_sqlite(found: list[str]) -> dict[str, str]:
    with closing(sqlite3.connect(":memory:")) as database:
        try:
            database.execute("CREATE VIRTUAL TABLE t USING fts5(x, tokenize = 'porter ascii')")
        except sqlite3.OperationalError:
            pytest.skip("this SQLite has no FTS5 to compare with")
        database.execute("CREATE VIRTUAL TABLE v USING fts5vocab(t, 'instance')")
        database.executemany("INSERT INTO t (rowid, x) VALUES (?, ?)", enumerate(found, start=1))
        return {found[row - 1]: term for term, row in database.execute("SELECT term, doc FROM v")}


ROOTS = "relat condit operat hop plan control agre fly happi deci sens form electr act depend adjust ration valu teach"
ENDS = (
    "s es ed ing er or ational tional ization iveness fulness ousness aliti iviti biliti icate ative alize iciti ical"
)
ENDS += " ness al ance ence able ible ant ement ment ent ion ou ism ate iti ous ive ize y ly eed ies"
BUILT = st.builds("".join, st.tuples(*map(st.sampled_from, (ROOTS.split(), ["", *ENDS.split()], ["", *ENDS.split()]))))


@given(st.lists(BUILT, min_size=1, max_size=20, unique=True))
def test_stems_are_those_of_another_implementation(found: list[str]):
    assert {word: stem(word) for word in found} == stemmed_by_sqlite(found)


def test_words_are_folded_split_and_stemmed():
    assert words("The rowCount of data.outcome_after, WARNINGS!") == ["row", "count", "data", "outcom", "after", "warn"]
    assert words("ﬁne Größe ＡＢＣ") == ["fine", "grösse", "abc"]
    assert words("ber\u00adth \u202eber\u200bth") == ["berth", "berth"]
    assert words("mTORC1 IL-10") == ["mtorc1", "il", "10"]


def test_a_question_of_stop_words_alone_keeps_them():
    assert asked("Who is it?") == ["who", "is", "it"]
    assert asked("who holds who holds") == ["hold"]
    assert asked("?!") == []


def test_much_is_not_read():
    assert len(asked(" ".join(f"w{number}" for number in range(10_000)))) == MOST_WORDS


def test_faint_words_are_words_that_are_looked_for():
    assert not FAINT_WORDS & STOP_WORDS
    assert telling("somebodi") < telling("harbour") == 1


@given(st.text())
def test_any_text_gives_words_without_signs(text: str):
    for word in (*words(text), *asked(text)):
        assert word
        assert not any(character.isspace() or character in "\x00\"'*:^-_" for character in word)
    assert not any(ord(character) < 32 and character not in "\n\t" for character in visible(text))
