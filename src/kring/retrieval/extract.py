"""What is said to a question: sentences of the passages that were found, and how far these support an answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from kring.record.passage import Found
from kring.retrieval.passages import sentences
from kring.retrieval.words import words

QUOTED: Final = 3
"""How many passages are quoted: what support is measured on."""

LONGEST: Final = 400
"""Characters of a quoted sentence at the most."""


def citations(found: Sequence[Found]) -> list[str]:
    """What is cited, best first, each once."""
    return list(dict.fromkeys(each.passage.id for each in found))


def support(found: Sequence[Found], weights: Mapping[str, float]) -> float:
    """The share of the question's words, by weight, that the quoted passages hold together: 0 to 1."""
    whole = sum(weights.values())
    held = {word for each in found[:QUOTED] for text in (each.passage.title, each.passage.text) for word in words(text)}
    return sum(weight for word, weight in weights.items() if word in held) / whole if whole else 0.0


def scaled(share: float, *, enough: float) -> float:
    """`share` (0 to 1) on a scale on which `enough` is ½, straight on both sides of it."""
    if share < enough:
        return share / enough / 2
    return 0.5 + (share - enough) / (1 - enough) / 2 if enough < 1 else 0.5


def extract(found: Sequence[Found], weights: Mapping[str, float]) -> str:
    """From each quoted passage the sentence that holds most of the question's words, in order of the passages.

    A sentence that adds no word of the question to those before it is left out; the first never is.
    """
    said: list[str] = []
    seen: set[str] = set()
    for each in found[:QUOTED]:
        held = [(sentence, set(words(sentence)) & weights.keys()) for sentence in sentences(each.passage.text)]
        sentence, mine = max(held, key=lambda one: sum(weights[word] for word in one[1]), default=("", set[str]()))
        if sentence and (not said or mine - seen):
            said.append(shortened(sentence))
            seen |= mine
    return "\n".join(said)


def shortened(sentence: str) -> str:
    """At most `LONGEST` characters, cut between words where there is a blank."""
    if len(sentence) <= LONGEST:
        return sentence
    cut = sentence.rfind(" ", LONGEST // 2, LONGEST)
    return sentence[: cut if cut > 0 else LONGEST - 1].rstrip() + "…"
