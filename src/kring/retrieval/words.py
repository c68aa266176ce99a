"""Words of a text as they are compared: folded, without stop words, as stems. No character has another meaning."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path
from typing import Final

from kring.retrieval.porter import stem

WORD: Final = re.compile(r"[^\W_]+")
JOINED: Final = re.compile(r"(?<=[a-z])(?=[A-Z][a-z])")
HIDDEN: Final = re.compile("[\u00ad\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
"""Marks that cannot be seen: soft hyphens, joiners, and those that turn the direction of a text."""

MOST_CHARACTERS: Final = 20_000
MOST_WORDS: Final = 128
"""What is read of a question: far more than anybody asks, little enough to be quick."""

HERE: Final = Path(__file__).parent
STOP_WORDS: Final = frozenset(HERE.joinpath("stop_words.txt").read_text(encoding="utf-8").split())
FAINT_WORDS: Final = (
    frozenset(map(stem, HERE.joinpath("faint_words.txt").read_text(encoding="utf-8").split())) - STOP_WORDS
)
"""Stems of what people say while they ask, whatever they ask about. They are rare in a handbook, and would pass
for telling words there."""

FAINT: Final = 0.5


def words(text: str) -> list[str]:
    """The stems of `text` in order; stop words are left out, `rowCount` and `row_count` are two words each."""
    folded = unicodedata.normalize("NFKC", JOINED.sub(" ", HIDDEN.sub("", text))).casefold()
    return [stem(word) for word in WORD.findall(folded) if word not in STOP_WORDS]


def asked(question: str) -> list[str]:
    """The words of a question, each once, in order. Of a question of stop words alone those are taken."""
    part = question[:MOST_CHARACTERS]
    found = words(part) or WORD.findall(part.casefold())
    return list(dict.fromkeys(found))[:MOST_WORDS]


def telling(word: str) -> float:
    """How much a stem counts beside others that are as rare: `FAINT` or 1."""
    return FAINT if word in FAINT_WORDS else 1.0


def visible(text: str) -> str:
    """`text` without what cannot be seen: marks, and control characters other than line ends and tabs."""
    return "".join(
        character
        for character in HIDDEN.sub("", text)
        if character in "\n\t" or unicodedata.category(character) != "Cc"
    )
