"""Rare values that are a frequent value misspelt: letters replaced by a sign, letters lost, added or swapped."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Final

from kring.data.spellings import Facts
from kring.decide.repairs import MEASURE
from kring.metrics.near import LONGEST, NUMBER, digits, masked, slips
from kring.record.recipe import Trust, Unit, Values

RARER: Final = 5
"""So many times as often as its misspelling stands the right value, with `signs`; without them `SELDOM` times."""
SELDOM: Final = 20
WIDEST: Final = 20_000
"""Columns with more distinct values are not compared value by value."""
PAIRS: Final = 10
"""So many misspelt values have to show a sign before it counts as one that replaces letters."""
COVERED: Final = 0.02
"""The largest share of values that stand once where a digit may be guessed from the values that were seen."""


def replacing_signs(columns: Mapping[str, Facts]) -> str:
    """The sign that stands for letters all over the feed, such as `x` in `pxtient`; empty without one.

    It is put in at least half of all places in which a rare value differs from a frequent one as long as it, in
    more than one column, and in at least `PAIRS` values.
    """
    put: Counter[str] = Counter()
    within: defaultdict[str, set[str]] = defaultdict(set)
    for name, facts in columns.items():
        for value, others in _alike(facts):
            signs = {_put_in(value, other) for other in others} - {""}
            if len(signs) == 1:
                sign = signs.pop()
                put[sign] += 1
                within[sign].add(name)
            elif others:
                put[""] += 1
    del put[""]
    for sign, count in put.most_common(1):
        if count >= PAIRS and 2 * count >= put.total() and len(within[sign]) > 1:
            return sign
    return ""


def _put_in(value: str, other: str) -> str:
    """The one sign by which `value` differs from `other`; empty when there are several."""
    signs = {sign for sign, real in zip(value, other, strict=True) if sign != real}
    return signs.pop() if len(signs) == 1 else ""


def _alike(facts: Facts) -> Iterator[tuple[str, list[str]]]:
    """Rare values with the frequent ones as long as they, of which they differ in at most a quarter of the signs."""
    if len(facts.counts) > WIDEST // 10:
        return
    lengths: defaultdict[int, list[str]] = defaultdict(list)
    for value, count in facts.counts.items():
        if count >= 2 * RARER and len(value) <= LONGEST:
            lengths[len(value)].append(value)
    for value, count in facts.counts.items():
        others = [
            other
            for other in lengths.get(len(value), [])
            if facts.counts[other] >= RARER * count and 0 < _apart(value, other) <= max(1, len(value) // 4)
        ]
        if others:
            yield value, others


def _apart(value: str, other: str) -> int:
    return sum(sign != real for sign, real in zip(value, other, strict=True))


def doubtful(facts: Facts, *, signs: str) -> dict[str, list[str]]:
    """Values with one of `signs` that may be other values that stand there more often, most frequent first."""
    if not signs or len(facts.counts) > WIDEST:
        return {}
    lengths: defaultdict[int, list[str]] = defaultdict(list)
    for value in sorted(facts.counts, key=lambda one: (-facts.counts[one], one)):
        lengths[len(value)].append(value)
    found: dict[str, list[str]] = {}
    for value in facts.counts:
        if any(sign in value for sign in signs):
            others = [
                other
                for other in lengths[len(value)]
                if facts.counts[other] > facts.counts[value] and masked(value, other, signs=signs)
            ]
            if others:
                found[value] = others
    return found


def misspelt(facts: Facts, *, signs: str) -> Iterator[Values | Unit]:
    """The values to be replaced; `signs` are those that replace letters in this feed."""
    if not 1 < len(facts.counts) <= WIDEST:
        return
    found = doubtful(facts, signs=signs)
    table = {value: others[0] for value, others in found.items() if _sure(value, others, found, facts)}
    if table:
        cells = sum(facts.counts[value] for value in table)
        why = f"{cells:,} values of {facts.name} are another value with {signs!r} in the place of letters"
        yield Values(id=f"values.{facts.name}", column=facts.name, table=table, why=why, trust="likely")
    unit = _misspelt_unit(facts, signs=signs, gone=table)
    if unit:
        yield unit
    for trust, slipped in _slipped(facts, skip=found).items():
        if slipped:
            name = "values" if trust == "likely" and not table else "near"
            shown = "surely" if trust == "likely" else "perhaps"
            why = f"{len(slipped):,} rare values of {facts.name} are {shown} a frequent one misspelt"
            yield Values(id=f"{name}.{facts.name}", column=facts.name, table=slipped, why=why, trust=trust)


def _sure(value: str, others: list[str], found: Mapping[str, list[str]], facts: Facts) -> bool:
    """Whether only one value can be meant; a digit is not guessed where many values stand only once."""
    right = [other for other in others if other not in found]
    if len(right) != 1 or right[0] != others[0]:
        return False
    if digits(value) == digits(right[0]):
        return True
    single = sum(count for text, count in facts.counts.items() if count == 1 and text not in found)
    return single <= COVERED * facts.rows and facts.counts[right[0]] >= RARER


def _misspelt_unit(facts: Facts, *, signs: str, gone: Mapping[str, str]) -> Unit | None:
    """Rare suffixes of numbers that are the usual one with `signs` in it."""
    suffixes: Counter[str] = Counter()
    for value, count in facts.counts.items():
        measured = MEASURE.fullmatch(value)
        if measured and value not in gone:
            suffixes[measured[2]] += count
    if not signs or not suffixes:
        return None
    main, most = suffixes.most_common(1)[0]
    if most < 0.8 * facts.rows:
        return None
    wrong = sorted(text for text in suffixes if masked(f"0{text}", f"0{main}", signs=signs))
    if not wrong:
        return None
    why = f"{sum(suffixes[text] for text in wrong):,} units in {facts.name} are {main!r} with {signs!r} in it"
    return Unit(id=f"units.{facts.name}", column=facts.name, suffixes=tuple(wrong), keep=main, why=why, trust="likely")


def _slipped(facts: Facts, *, skip: Mapping[str, list[str]]) -> dict[Trust, dict[str, str]]:
    """Rare values near exactly one frequent value, by how sure it is.

    It is `likely` when one letter of at least six is wrong, not the first, and the right value stands 50 times as
    often; `ask` when more are wrong or it stands `SELDOM` times as often. Neither numbers, nor words that the
    column knows from other values, are misspellings.
    """
    made: dict[Trust, dict[str, str]] = {"likely": {}, "ask": {}}
    frequent = [value for value, count in facts.counts.items() if count >= SELDOM and not _numeric(value)]
    if len(frequent) > WIDEST // 20 or facts.typed not in ("string", "boolean"):
        return made
    words = Counter(word for value in facts.counts for word in set(value.casefold().split()))
    for value, count in facts.counts.items():
        if value in skip or count * SELDOM > facts.rows or not 4 <= len(value) <= LONGEST or _numeric(value):
            continue
        near = [
            (slips(value, other), other)
            for other in frequent
            if abs(len(other) - len(value)) <= 2 and facts.counts[other] >= SELDOM * count
        ]
        close = [(apart, other) for apart, other in near if 0 < apart <= 2]
        if len(close) == 1 and not _known_words(value, close[0][1], words):
            apart, right = close[0]
            sure = apart == 1 and len(right) >= 6 and facts.counts[right] >= 50 * count and value[0] == right[0]
            made["likely" if sure else "ask"][value] = right
    return made


def _numeric(value: str) -> bool:
    return bool(NUMBER.fullmatch(value) or MEASURE.fullmatch(value))


def _known_words(value: str, right: str, words: Mapping[str, int]) -> bool:
    """Whether the words in which the two differ stand in other values too."""
    new = set(value.casefold().split()) - set(right.casefold().split())
    return all(words[word] > 1 for word in new)
