"""What is quoted, what is cited, and how far that supports an answer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kring.errors import CandidateError
from kring.record.passage import Found, Passage
from kring.retrieval.extract import LONGEST, citations, extract, scaled, shortened, support
from kring.retrieval.rules import matching, read_rules

FOUND = [
    Found(passage=Passage(id="a#x", title="Fees", text="Dogs stay. A berth costs 12.\nCall us."), score=3.0),
    Found(passage=Passage(id="a#x", title="Fees", text="A berth may be shared."), score=2.0),
    Found(passage=Passage(id="b", title="Winter", text="The harbour is closed in winter."), score=1.0),
    Found(passage=Passage(id="c", title="Rest", text="A crane lifts ships."), score=0.5),
]


def test_one_sentence_of_each_passage_that_adds_a_word():
    assert extract(FOUND, {"berth": 2.0, "cost": 1.0}) == "A berth costs 12."
    assert extract(FOUND, {"berth": 2.0, "close": 1.0}) == "A berth costs 12.\nThe harbour is closed in winter."
    assert extract([], {"berth": 1.0}) == ""


def test_support_is_the_share_of_words_by_weight_in_the_quoted_passages():
    assert support(FOUND, {"berth": 3.0, "crane": 1.0}) == 0.75
    assert support(FOUND, {"winter": 1.0, "fee": 1.0}) == 1.0
    assert support([], {"berth": 1.0}) == support(FOUND, {}) == 0.0


def test_citations_are_named_once():
    assert citations(FOUND) == ["a#x", "b", "c"]


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0.01, 1))
def test_enough_is_one_half_and_order_is_kept(left: float, right: float, enough: float):
    assert scaled(enough, enough=enough) == 0.5
    assert 0 <= scaled(left, enough=enough) <= 1
    assert (scaled(left, enough=enough) >= 0.5) == (left >= enough)
    assert left > right or scaled(left, enough=enough) <= scaled(right, enough=enough)


@given(st.text(max_size=1000))
def test_quotes_are_never_longer_than_allowed(text: str):
    assert len(shortened(text)) <= LONGEST
    assert len(text) > LONGEST or shortened(text) == text


RULES = """
[[rule]]
when = ["berth cost", "fees"]
answer = "12 a night"
citations = ["a#x"]
[[rule]]
when = ["winter"]
answer = "closed"
citations = ["b", "a#x"]
"""


def test_a_rule_applies_when_all_words_of_one_phrase_are_asked():
    rules = read_rules(RULES, file="answers.toml")
    assert [rule.answer for rule in matching(rules, "what do BERTHS cost in winter?")] == ["12 a night", "closed"]
    assert [rule.answer for rule in matching(rules, "any fee?")] == ["12 a night"]
    assert matching(rules, "where is a berth?") == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "rule = 1",
        "[[rule]",
        RULES + "\nextra = 1",
        RULES.replace("fees", "the of"),
        RULES.replace('"12 a night"', '" "'),
        RULES.replace('["b", "a#x"]', "[]"),
        RULES.replace('["winter"]', "[]"),
        RULES.replace('["b", "a#x"]', '["b c"]'),
        RULES.replace("citations", "sources"),
        '[[rule]]\nwhen = ["a1"]\nanswer = "b"\ncitations = ["c"]\n' * 1001,
    ],
)
def test_rules_that_are_none_are_refused(text: str):
    with pytest.raises(CandidateError, match="written by hand"):
        read_rules(text, file="answers.toml")
