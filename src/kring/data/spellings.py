"""What one column says of its own faults: spellings of nothing, units, decimal commas, dates, booleans, case."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from kring.contracts.values import FALSE, TRUE
from kring.decide.repairs import COMMA, DAY_FORMS, MEASURE, iso_date, tidied
from kring.metrics.near import NUMBER
from kring.record.contract import Field
from kring.record.recipe import DateForm, Dates, Decimal, Missing, Repair, Text, Tidying, Trust, Unit, Values

STEPS: Final[tuple[Tidying, ...]] = ("invisible", "unicode", "space")
MOST: Final = 0.9
"""So large a part of a column's values has to fit before the rest is a fault."""

SIGNS_OF_NOTHING: Final = frozenset(
    ["n/a", "#n/a", "na", "nan", "null", "nil", "-", "--", "---", "?", "n.a.", "#null!", "<na>", "\\n"]
)
WORDS_OF_NOTHING: Final = frozenset(
    [
        *["empty", "none", "unknown", "missing", "not available", "not applicable", "no data", "blank", "undefined"],
        *["not reported", "tbd", "(none)", "(empty)", "(null)", "(blank)"],
    ]
)
NUMBERS_OF_NOTHING: Final = frozenset(["-999", "-9999", "-99999", "-999.0", "-9999.0"])
YES: Final = frozenset(["true", "t", "yes", "y", "1", "on"])
NO: Final = frozenset(["false", "f", "no", "n", "0", "off"])
READABLE: Final = frozenset([*TRUE, *FALSE])

SUFFIX: Final = re.compile(r"\s*[^\W\d_%°€$£µ]*[%°€$£µ]?[^\W\d_]*\.?(?:[ .]\D{0,40})?")
HEAD: Final = re.compile(r"[^\W\d_]+|[%°€$£]")
ISO: Final = re.compile(r"\d{4}-\d{2}-\d{2}(?:[ T]\d{1,2}:\d{2}.*)?", re.ASCII)
THOUSANDS: Final = re.compile(r"[+-]?\d{1,3}(?:,\d{3})+", re.ASCII)
SAME_UNIT: Final[Mapping[str, str]] = {
    spelling: unit
    for unit, spellings in {
        "oz": "ounce ounces",
        "lb": "lbs pound pounds",
        "kg": "kgs kilo kilos kilogram kilograms",
        "g": "gr gram grams",
        "l": "liter liters litre litres",
        "m": "meter meters metre metres",
        "km": "kilometer kilometers kilometre kilometres",
        "mi": "mile miles",
        "min": "mins minute minutes",
        "h": "hr hrs hour hours",
        "s": "sec secs second seconds",
        "d": "day days",
        "y": "yr yrs year years",
        "%": "percent pct",
        "€": "eur euro euros",
        "$": "usd dollar dollars",
    }.items()
    for spelling in spellings.split()
}
KNOWN_UNITS: Final = frozenset(SAME_UNIT.values())
FEW: Final = 0.05
"""Where other numbers carry nothing, a word that is no unit we know follows so many of them, after a space."""


@dataclass(frozen=True, slots=True)
class Facts:
    """A column of texts: how often each value stands there, what the contract says of it, and which texts the
    contract itself takes for nothing."""

    name: str
    counts: Mapping[str, int]
    field: Field | None = None
    markers: frozenset[str] = frozenset()

    @property
    def rows(self) -> int:
        """Rows with a value."""
        return sum(self.counts.values())

    @property
    def typed(self) -> str:
        """The contract's type; `string` when it says nothing."""
        return self.field.type if self.field else "string"


def found_in(facts: Facts) -> Iterator[Repair]:
    """Every repair that the column proposes, in the order in which they are applied; ids are `kind.column`."""
    tidy = _text(facts)
    if tidy:
        yield tidy
        facts = _after(facts, tidy)
    for nothing in _missing(facts):
        yield nothing
        if nothing.trust != "ask":
            facts = _without(facts, nothing.spellings)
    facts = _without(facts, [text for text in facts.counts if _is_nothing(text, facts)])
    if not facts.rows:
        return
    for find in (_unit, _decimal, _dates, _booleans, _case):
        found = find(facts)
        if found:
            yield found


def _after(facts: Facts, repair: Text) -> Facts:
    counts: Counter[str] = Counter()
    for value, count in facts.counts.items():
        mended = tidied(value, repair.steps)
        if mended is not None:
            counts[mended] += count
    return Facts(facts.name, counts, facts.field, facts.markers)


def _without(facts: Facts, gone: Iterator[str] | tuple[str, ...] | list[str]) -> Facts:
    dropped = frozenset(gone)
    kept = {value: count for value, count in facts.counts.items() if value not in dropped}
    return Facts(facts.name, kept, facts.field, facts.markers)


def _text(facts: Facts) -> Text | None:
    odd = [value for value in facts.counts if not _plain(value)]
    steps: list[Tidying] = [step for step in STEPS if any(tidied(value, (step,)) != value for value in odd)]
    if not steps:
        return None
    told = {"invisible": "signs that can't be seen", "unicode": "letters in parts", "space": "white space around"}
    why = f"{facts.name} has values with {' and '.join(told[step] for step in steps)}"
    return Text(id=f"text.{facts.name}", column=facts.name, steps=tuple(steps), why=why, trust="safe")


def _plain(value: str) -> bool:
    return value.isascii() and value.isprintable() and not value.startswith(" ") and not value.endswith(" ")


def _is_nothing(text: str, facts: Facts) -> bool:
    word = text.strip().casefold()
    return word in SIGNS_OF_NOTHING or word in WORDS_OF_NOTHING or text in facts.markers


def _missing(facts: Facts) -> Iterator[Missing]:
    """Signs that no one means as an answer, apart from words that somebody may."""
    allowed = {str(value) for value in facts.field.allowed} if facts.field else set()
    texts = [text for text in facts.counts if len(text) <= 20 and text not in allowed | facts.markers]
    signs = [text for text in texts if text.casefold() in SIGNS_OF_NOTHING]
    words = [text for text in texts if text.casefold() in WORDS_OF_NOTHING]
    codes = [text for text in signs if text.isalpha() and _codes(facts, text)]
    signs = [text for text in signs if text not in codes]
    numbers = [text for text in texts if text in NUMBERS_OF_NOTHING]
    groups: tuple[tuple[str, list[str], Trust, str], ...] = (
        ("missing", signs, "safe", "stands for nothing"),
        ("missing-word", words, "ask" if facts.typed == "string" else "likely", "may stand for nothing"),
        ("missing-code", codes, "ask", "may stand for nothing, or be a code like the others"),
        ("missing-number", numbers, "ask", "may stand for nothing"),
    )
    for name, spellings, trust, what in groups:
        if spellings:
            shown = ", ".join(repr(text) for text in sorted(spellings)[:5])
            yield Missing(
                id=f"{name}.{facts.name}",
                column=facts.name,
                spellings=tuple(sorted(spellings)),
                why=f"{shown} {what} in {facts.name}",
                trust=trust,
            )


def _codes(facts: Facts, text: str) -> bool:
    """Whether the other values look like `text`: NA among the codes of states."""
    others = [value for value in facts.counts if value != text]
    alike = [value for value in others if len(value) == len(text) and value.isalpha() and value.isupper()]
    return text.isupper() and len(others) > 1 and len(alike) > MOST * len(others)


def _unit(facts: Facts) -> Unit | None:
    plain, heads = 0, Counter[str]()
    suffixes: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for value, count in facts.counts.items():
        measured = MEASURE.fullmatch(value)
        if NUMBER.fullmatch(value):
            plain += count
        elif measured and SUFFIX.fullmatch(measured[2]):
            head = unit_of(measured[2])
            heads[head] += count
            suffixes[head][measured[2]] += count
    suffixed = heads.total()
    if not suffixed or plain + suffixed < MOST * facts.rows:
        return None
    unit, most = heads.most_common(1)[0]
    if most < MOST * suffixed or not unit:
        return None
    apart = all(suffix.startswith(" ") for suffix in suffixes[unit])
    if plain and unit not in KNOWN_UNITS and (suffixed < FEW * plain or not apart):
        return None
    spellings = tuple(sorted(suffixes[unit], key=lambda text: (-suffixes[unit][text], text)))
    trust, said = _unit_trust(facts, plain=plain, spellings=len(spellings))
    shown = ", ".join(repr(text) for text in spellings[:4]) + (" …" if len(spellings) > 4 else "")
    why = f"{most:,} of {plain + suffixed:,} numbers in {facts.name} carry a unit, {said}: {shown}"
    return Unit(id=f"unit.{facts.name}", column=facts.name, suffixes=spellings, why=why, trust=trust)


def _unit_trust(facts: Facts, *, plain: int, spellings: int) -> tuple[Trust, str]:
    """Numbers with and without a unit may be in two units; one unit in one spelling is no fault by itself."""
    if plain:
        return "ask", f"{plain:,} carry none, so they may be in another unit or less exact"
    if facts.typed in ("number", "integer"):
        return "safe", "the contract wants numbers"
    return ("likely", f"in {spellings} spellings") if spellings > 1 else ("ask", "always the same")


def unit_of(suffix: str) -> str:
    """The unit at the head of a suffix: `oz` of ` oz. can` and of ` Ounces`."""
    head = HEAD.search(suffix)
    word = head[0].casefold() if head else ""
    return SAME_UNIT.get(word, word)


def _decimal(facts: Facts) -> Decimal | None:
    if facts.field and facts.field.decimal == ",":
        return None
    commas = sum(count for value, count in facts.counts.items() if COMMA.fullmatch(value))
    sure = sum(
        count for value, count in facts.counts.items() if COMMA.fullmatch(value) and not THOUSANDS.fullmatch(value)
    )
    points = sum(count for value, count in facts.counts.items() if NUMBER.fullmatch(value))
    broken = any("." in value and NUMBER.fullmatch(value) for value in facts.counts)
    if not sure or commas + points < MOST * facts.rows:
        return None
    number = facts.typed in ("number", "integer")
    trust: Trust = "ask" if sure < commas else "likely" if number or broken else "ask"
    doubt = f"; {commas - sure:,} of them may mean thousands" if sure < commas else ""
    why = f"{commas:,} numbers in {facts.name} are written with a decimal comma{doubt}"
    return Decimal(id=f"decimal.{facts.name}", column=facts.name, why=why, trust=trust)


def _dates(facts: Facts) -> Dates | None:
    if facts.field and facts.field.format:
        return None
    iso = sum(count for value, count in facts.counts.items() if ISO.fullmatch(value))
    seen: Counter[DateForm] = Counter()
    for form, pattern in DAY_FORMS.items():
        for value, count in facts.counts.items():
            if pattern.fullmatch(value) and iso_date(value, (form,)) != value:
                seen[form] += count
    forms, doubt = _decided_forms(seen)
    if not forms or iso + sum(seen[form] for form in forms) < MOST * facts.rows:
        return None
    wanted = facts.typed in ("date", "timestamp") or iso or len(forms) > 1
    why = f"dates in {facts.name} are written {', '.join(forms)}" + (f", {iso:,} the ISO way" if iso else "") + doubt
    trust: Trust = "likely" if wanted and not doubt else "ask"
    return Dates(id=f"dates.{facts.name}", column=facts.name, forms=forms, why=why, trust=trust)


def _decided_forms(seen: Counter[DateForm]) -> tuple[tuple[DateForm, ...], str]:
    """Day or month first, by which of the two reads more of the dates; nothing when both read some that the
    other can't."""
    left = dict(seen)
    doubt = ""
    pairs: tuple[tuple[DateForm, DateForm], ...] = (("d/m/y", "m/d/y"), ("d-m-y", "m-d-y"))
    for day, month in pairs:
        if day not in left or month not in left:
            continue
        if left[day] == left[month]:
            doubt = "; nothing says whether the day or the month comes first"
            del left[month]
        elif min(left[day], left[month]) < max(left[day], left[month]):
            del left[day if left[day] < left[month] else month]
    return tuple(sorted(left, key=lambda form: -left[form])), doubt


def _booleans(facts: Facts) -> Values | None:
    words = {value: value.casefold() for value in facts.counts}
    if len(words) < 2 or not set(words.values()) <= YES | NO or set(words.values()) <= {"0", "1"}:
        return None
    sides = [{value for value, word in words.items() if word in side} for side in (YES, NO)]
    typed = facts.typed == "boolean"
    unread = {value for value, word in words.items() if word not in READABLE}
    if not all(sides) or (typed and not unread) or (not typed and all(len(side) < 2 for side in sides)):
        return None
    table: dict[str, str] = {}
    for side, word in zip(sides, ("true", "false"), strict=True):
        right = word if typed else max(sorted(side), key=lambda value: facts.counts[value])
        table |= {value: right for value in sorted(unread & side if typed else side) if value != right}
    if not table:
        return None
    shown = ", ".join(sorted(words))
    why = f"yes and no are spelt {len(words)} ways in {facts.name}: {shown}"
    return Values(
        id=f"booleans.{facts.name}", column=facts.name, table=table, why=why, trust="safe" if typed else "likely"
    )


def _case(facts: Facts) -> Values | None:
    """Values that differ in nothing but capitals and inner white space, where few values recur."""
    if len(facts.counts) * 4 > facts.rows:
        return None
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for value in facts.counts:
        groups[" ".join(value.casefold().split())].append(value)
    table: dict[str, str] = {}
    for values in groups.values():
        if len(values) > 1 and not all(value.casefold() in YES | NO for value in values):
            right = max(sorted(values), key=lambda value: facts.counts[value])
            table |= {value: right for value in sorted(values) if value != right}
    if not table:
        return None
    sure = all(facts.counts[right] >= 3 * facts.counts[wrong] for wrong, right in table.items())
    why = f"values of {facts.name} in other capitals than usual: {len(table):,}"
    trust: Trust = "likely" if sure else "ask"
    return Values(id=f"case.{facts.name}", column=facts.name, table=table, why=why, trust=trust)
