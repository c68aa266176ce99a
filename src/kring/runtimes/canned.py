"""Answers written by hand, by the words of the question: rules as data, nothing is run."""

from __future__ import annotations

import msgspec

from kring.errors import IntegrityError
from kring.record.batch import Batch
from kring.record.version import Link
from kring.retrieval.rules import Rules, matching
from kring.runtimes.questions import NOTHING, Answer, answered


class CannedRuntime:
    """Says what the first rule says that applies, with support 1; cites what all of those cite that apply."""

    def __init__(self, rules: Rules, inputs: tuple[str, ...], *, link: str) -> None:
        self._rules = rules
        self._inputs = inputs
        self._link = link

    def answer(self, batch: Batch) -> Batch:
        """`answer`, `citations`, `support` of every row; nothing with support 0 where no rule applies."""
        return answered(batch, self._inputs, self._said, link=self._link)

    def close(self) -> None:
        """Nothing is held."""

    def _said(self, question: str) -> Answer:
        rules = matching(self._rules, question)
        if not rules:
            return NOTHING
        cited = dict.fromkeys(citation for rule in rules for citation in rule.citations)
        return Answer(rules[0].answer, tuple(cited), 1.0)


def open_canned(data: bytes, link: Link) -> CannedRuntime:
    """A runtime over the rules in `data`, JSON. `IntegrityError` for anything else."""
    try:
        rules = msgspec.json.decode(data, type=Rules)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise IntegrityError(f"{link.file} holds no answers written by hand", got=str(error)) from error
    return CannedRuntime(rules, link.inputs, link=link.file or "the answers")
