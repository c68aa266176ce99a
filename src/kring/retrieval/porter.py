"""The stem of an English word: M. F. Porter, "An algorithm for suffix stripping", Program 14 (1980) 130-137.

With the two later departures of its author (`logi` to `log`, `bli` for `abli`) and his rule that words of one
or two letters are left alone.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

VOWEL: Final = re.compile("[aeiouy]")
MEASURE: Final = re.compile("[aeiouy]+[^aeiouy]+")
SHORT: Final = re.compile("[^aeiouy][aeiouy][^aeiouywxY]$")
YS: Final = re.compile("y+")
ENGLISH: Final = re.compile("[a-z]{3,}")

ADJECTIVES: Final = {
    "ational": "ate", "tional": "tion", "enci": "ence", "anci": "ance", "izer": "ize", "bli": "ble",
    "alli": "al", "entli": "ent", "eli": "e", "ousli": "ous", "ization": "ize", "ation": "ate", "ator": "ate",
    "alism": "al", "iveness": "ive", "fulness": "ful", "ousness": "ous", "aliti": "al", "iviti": "ive",
    "biliti": "ble", "logi": "log",
}  # fmt: skip
NOUNS: Final = {"icate": "ic", "ative": "", "alize": "al", "iciti": "ic", "ical": "ic", "ful": "", "ness": ""}
ENDINGS: Final = dict.fromkeys(
    ("al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ement", "ment", "ent", "ion", "ou", "ism", "ate",
     "iti", "ous", "ive", "ize"), ""
)  # fmt: skip


@lru_cache(maxsize=1 << 16)
def stem(word: str) -> str:
    """The stem of a lower-case word; what is no English word (digits, accents, other scripts) stays as it is."""
    if not ENGLISH.fullmatch(word):
        return word
    word = _past(_plural(word))
    if word.endswith("y") and _has_vowel(word[:-1]):
        word = word[:-1] + "i"
    word = _replaced(_replaced(word, ADJECTIVES, more_than=0), NOUNS, more_than=0)
    return _last_letters(_replaced(word, ENDINGS, more_than=1))


def _measure(word: str) -> int:
    """How many times vowels are followed by consonants."""
    return len(MEASURE.findall(_spelt(word)))


def _has_vowel(word: str) -> bool:
    return VOWEL.search(_spelt(word)) is not None


def _spelt(word: str) -> str:
    """The word with a capital Y where y is a consonant: at the beginning, and after a vowel, which y may be too."""

    def run(found: re.Match[str]) -> str:
        first = not found.start() or word[found.start() - 1] in "aeiou"
        return "".join("Y" if first == (at % 2 == 0) else "y" for at in range(len(found[0])))

    return YS.sub(run, word)


def _plural(word: str) -> str:
    if word.endswith(("sses", "ies")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word


def _past(word: str) -> str:
    if word.endswith("eed"):
        return word[:-1] if _measure(word[:-3]) else word
    for ending in ("ed", "ing"):
        root = word.removesuffix(ending)
        if root == word or not _has_vowel(root):
            continue
        if root.endswith(("at", "bl", "iz")):
            return root + "e"
        if root[-1:] == root[-2:-1] and _spelt(root)[-1] not in "aeiouylsz":
            return root[:-1]
        return root + "e" if _measure(root) == 1 and SHORT.search(_spelt(root)) else root
    return word


def _replaced(word: str, endings: dict[str, str], *, more_than: int) -> str:
    """The longest of `endings` replaced, when what is left of it has more than so many measures."""
    found = max((ending for ending in endings if word.endswith(ending)), key=len, default="")
    root = word[: len(word) - len(found)]
    if not found or _measure(root) <= more_than or (found == "ion" and root[-1:] not in ("s", "t")):
        return word
    return root + endings[found]


def _last_letters(word: str) -> str:
    if word.endswith("e"):
        root = word[:-1]
        if _measure(root) > 1 or (_measure(root) == 1 and not SHORT.search(_spelt(root))):
            word = root
    return word[:-1] if word.endswith("ll") and _measure(word) > 1 else word
