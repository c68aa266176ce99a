"""What only people know of a system: the questions, what an answer may be, and which are still open."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from kring.errors import UserError
from kring.record.contract import Scalar
from kring.record.system import Stage
from kring.record.version import Output

STAGES: Final[tuple[Stage, ...]] = ("frame", "data", "experiment", "release", "operate")
MISTAKES: Final[Mapping[Output, Mapping[str, str]]] = {
    "probability": {
        "false_positive": "a yes that should have been a no",
        "false_negative": "a no that should have been a yes",
    },
    "value": {"over": "each unit said too much", "under": "each unit said too little"},
}
"""The kinds of mistake that have prices, by what is answered."""

MOST_PRICES: Final = 10
"""Up to so many labels each has a price of its own."""

SKIP: Final = "an empty answer leaves it open"


@dataclass(frozen=True, slots=True)
class Question:
    """One question: its key in answers and in `frame.open`, its words, and what may be answered."""

    key: str
    words: str
    allowed: str = ""


@dataclass(frozen=True, slots=True)
class Answers:
    """What people said; an empty value is a question that stays open."""

    texts: Mapping[str, str] = field(default_factory=dict)
    cost: Mapping[str, float] = field(default_factory=dict)
    default: Scalar = None

    def get(self, key: str) -> str:
        return self.texts.get(key, "")

    def listed(self, key: str) -> tuple[str, ...]:
        """The answer as a list: its parts between commas, each once."""
        parts = (part.strip() for part in self.get(key).split(","))
        return tuple(dict.fromkeys(part for part in parts if part))

    @property
    def people(self) -> dict[Stage, str]:
        return {stage: self.get(f"people.{stage}") for stage in STAGES if self.get(f"people.{stage}")}


def questions(output: Output | None, labels: tuple[Scalar, ...]) -> list[Question]:
    """The questions in the order in which they are asked; `output` is None while there are no data."""
    asked = [
        Question("goal", "What is the system for, in one sentence?"),
        Question("decision", "What is decided with an answer, and by whom?"),
        Question("affects", "Who is affected by its answers?", "names with commas between them"),
    ]
    priced = mistakes(output, labels)
    if priced:
        asked += [
            Question(f"cost.{kind}", f"What does {words} cost?", "a number, 0 or more")
            for kind, words in priced.items()
        ]
        asked.append(Question("currency", "In which unit are these prices?", "such as EUR or minutes"))
    told = f"one of {', '.join(_label(label) for label in labels)}" if labels else "a number" if output else ""
    return [
        *asked,
        Question("good_enough", "When is the system good enough to be used?"),
        Question("default", "What is answered when nothing else can answer?", told),
        Question("owner", "Who owns the system and answers for it?"),
        *(
            Question(f"people.{stage}", f"Who is accountable for the stage {stage}, if not the owner?")
            for stage in STAGES
        ),
        Question("human_oversight", "What do people see before an answer takes effect, and may they overrule it?"),
        Question("feedback", "Does an answer change the outcome that is seen later?", "none or some"),
    ]


def mistakes(output: Output | None, labels: tuple[Scalar, ...]) -> Mapping[str, str]:
    """The kinds of mistake that have a price, in words: those of the answer, or missing one of a few labels."""
    if output == "probabilities" and len(labels) <= MOST_PRICES:
        return {_label(label): f"missing a {_label(label)}" for label in labels}
    return MISTAKES.get(output, {}) if output else {}


def checked(question: Question, answer: str, *, output: Output | None, labels: tuple[Scalar, ...]) -> str:
    """The answer as it is kept. `UserError` for one that the question does not allow."""
    text = " ".join(answer.split())
    known = [_label(label) for label in labels]
    if not text:
        return ""
    if any(not sign.isprintable() for sign in text):
        raise _wrong(question, text, "letters, digits and signs that can be seen")
    if question.key.startswith("cost.") or (question.key == "default" and output == "value"):
        return _number(question, text)
    if question.key == "default" and known and text not in known:
        raise _wrong(question, text, question.allowed)
    if question.key == "feedback":
        words = {"none": "none", "no": "none", "some": "some", "yes": "some"}
        if text.lower() not in words:
            raise _wrong(question, text, question.allowed)
        return words[text.lower()]
    return text


def gathered(texts: Mapping[str, str], *, output: Output | None, labels: tuple[Scalar, ...]) -> Answers:
    """Checked answers put together. Prices count only when all of them are there."""
    cost = {key.removeprefix("cost."): float(text) for key, text in texts.items() if key.startswith("cost.") and text}
    whole = set(cost) == set(mistakes(output, labels)) and any(cost.values())
    default: Scalar = texts.get("default") or None
    if output == "value" and default is not None:
        default = float(str(default))
    plain = {key: text for key, text in texts.items() if text and not key.startswith("cost.") and key != "default"}
    return Answers(texts=plain, cost=cost if whole else {}, default=default)


def fitted(answers: Answers, *, output: Output, labels: tuple[Scalar, ...]) -> Answers:
    """`answers` that were given before there were data; a default that the data can't have is open again."""
    question = Question("default", "")
    try:
        text = checked(question, str(answers.default or ""), output=output, labels=labels)
    except UserError:
        text = ""
    default: Scalar = float(text) if text and output == "value" else text or None
    return Answers(texts=answers.texts, cost=answers.cost, default=default)


def still_open(
    answers: Answers, *, output: Output | None, labels: tuple[Scalar, ...] = (), timed: bool = False
) -> list[tuple[str, str]]:
    """(name, question) of everything that nobody has answered."""
    words = {question.key: question.words for question in questions(output, ())}
    found = [
        (key, words[key])
        for key in ("goal", "decision", "owner", "affects", "good_enough", "human_oversight", "feedback")
        if not answers.get(key)
    ]
    priced = mistakes(output, labels)
    if priced and not answers.cost:
        kinds = ", ".join(priced.values())
        found.append(("cost", f"What do these mistakes cost: {kinds}?"))
    if answers.default is None:
        found.append(("default", words["default"]))
    if timed:
        found.append(("outcome_after", "How long after the decision is its outcome known (data.outcome_after)?"))
    return found


def _label(label: Scalar) -> str:
    if isinstance(label, bool):
        return str(label).lower()
    return str(int(label)) if isinstance(label, float) and label.is_integer() else str(label)


def _number(question: Question, text: str) -> str:
    try:
        value = float(text.replace(",", "."))
    except ValueError:
        raise _wrong(question, text, question.allowed) from None
    if not abs(value) < float("inf") or (value < 0 and question.key.startswith("cost.")):
        raise _wrong(question, text, question.allowed)
    return repr(value)


def _wrong(question: Question, text: str, allowed: str) -> UserError:
    return UserError(
        f"this does not answer: {question.words}", got=text[:80], allowed=f"{allowed}; {SKIP}", key=question.key
    )
