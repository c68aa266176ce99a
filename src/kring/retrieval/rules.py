"""Answers written by hand: words to look for, what is then said, and the page that says it.

What a support team has before any search, and what a search has to beat.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from typing import Final

import msgspec

from kring.errors import CandidateError
from kring.retrieval.words import asked, words

MOST_RULES: Final = 1000


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Says `answer` and cites `citations` when the question holds every word of one of the `when`."""

    when: tuple[str, ...]
    answer: str
    citations: tuple[str, ...]


class Rules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Rules in the order in which they are tried."""

    rule: tuple[Rule, ...]


def read_rules(text: str, *, file: str) -> Rules:
    """The rules in a TOML text. `CandidateError` says what is wrong with it."""
    try:
        rules = msgspec.convert(tomllib.loads(text), Rules)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise _wrong(str(error), file) from error
    if not 0 < len(rules.rule) <= MOST_RULES:
        raise _wrong(f"{len(rules.rule)} rules", file)
    for number, rule in enumerate(rules.rule, start=1):
        if not (rule.answer.strip() and rule.citations and rule.when and all(words(phrase) for phrase in rule.when)):
            raise _wrong(f"rule {number} lacks an answer, a citation, or words that tell something", file)
        if any(citation.split() != [citation] for citation in rule.citations):
            raise _wrong(f"rule {number} cites a page with blanks in its name", file)
    return rules


def matching(rules: Rules, question: str) -> Sequence[Rule]:
    """The rules that apply to the question, in order."""
    held = set(asked(question))
    return [rule for rule in rules.rule if any(held.issuperset(words(phrase)) for phrase in rule.when)]


def _wrong(got: str, file: str) -> CandidateError:
    return CandidateError(
        "the answers written by hand can't be read",
        got=got,
        allowed='[[rule]] with when = ["words …"], answer = "…", citations = ["page#heading"]; up to 1,000 of them',
        file=file,
    )
