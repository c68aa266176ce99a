"""Questions to people, one after the other: an empty answer leaves a question open."""

from __future__ import annotations

from collections.abc import Callable

from kring.errors import UserError
from kring.frame.questions import Answers, Question, checked, gathered, questions
from kring.record.contract import Scalar
from kring.record.version import Output

Ask = Callable[[Question], str]
"""Puts one question to somebody and returns the answer; raises `EOFError` when nobody answers any more."""


def interview(
    ask: Ask, *, known: Answers, output: Output | None = None, labels: tuple[Scalar, ...] = (), patient: bool = False
) -> Answers:
    """Ask what `known` does not say. A `patient` interviewer asks again after an answer that is not allowed; another
    one raises its `UserError`."""
    texts = dict(known.texts)
    if known.default is not None:
        texts["default"] = str(known.default)
    asked = [question for question in questions(output, labels) if not texts.get(question.key)]
    for number, question in enumerate(asked):
        try:
            texts[question.key] = _answered(ask, question, output=output, labels=labels, patient=patient)
        except EOFError as error:
            raise UserError(
                "the answers ended before the questions did",
                got=f"{number} answers",
                allowed=f"{len(asked)} lines, one for each question; an empty line leaves a question open",
                next="answer the rest, or leave --interview out",
            ) from error
    return gathered(texts, output=output, labels=labels)


def _answered(ask: Ask, question: Question, *, output: Output | None, labels: tuple[Scalar, ...], patient: bool) -> str:
    while True:
        try:
            return checked(question, ask(question), output=output, labels=labels)
        except UserError as error:
            if not patient:
                raise
            question = Question(question.key, f"{error.message} Allowed: {error.allowed}.", question.allowed)
