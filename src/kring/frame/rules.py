"""What no key can say by itself: the rules that hold between keys."""

from __future__ import annotations

from typing import Final

from kring.contracts.grammar import lookups_of, parse
from kring.errors import ConfigError, KringError
from kring.frame.files import read_files
from kring.frame.places import Key
from kring.frame.reading import Reading
from kring.frame.rules_running import read_running_rules
from kring.frame.tables import GateTable
from kring.frame.wording import did_you_mean, nearest, shown
from kring.metrics.gates import parse_line

WAYS: Final = ("rule", "fit", "builtin", "code", "of")


def read_rules(reading: Reading) -> None:
    """Add a fault for every rule between keys that is broken. Keys that are wrong by themselves are left alone."""
    _candidates(reading)
    _data(reading)
    _expressions(reading)
    _gate(reading)
    read_running_rules(reading)


def _candidates(reading: Reading) -> None:
    keys: list[Key] = [("candidate", number) for number in range(reading.length(("candidate",)))]
    first: dict[str, Key] = {}
    for key in keys:
        name = reading.text((*key, "name"))
        if name and name in first:
            line = reading.source.places.line((*first[name], "name"))
            reading.fault(
                (*key, "name"),
                "two candidates share this name",
                got=shown(name),
                next=f"the other stands in line {line}",
            )
        first.setdefault(name, key)
        _way(reading, key)
    _baseline(reading, keys)


def _baseline(reading: Reading, keys: list[Key]) -> None:
    baselines = [key for key in keys if reading.raw((*key, "baseline")) is True]
    unclear = [key for key in keys if not isinstance(reading.raw((*key, "baseline")), (bool, type(None)))]
    if keys and not baselines and not unclear:
        reading.fault(
            ("candidate",),
            "no candidate is the baseline",
            got="none",
            allowed="exactly one",
            next='add baseline = true to the simplest candidate: the rule that is used today, or builtin = "prior"',
        )
    for key in baselines[1:]:
        line = reading.source.places.line((*baselines[0], "baseline"))
        reading.fault(
            (*key, "baseline"),
            "a second candidate is the baseline",
            got=str(len(baselines)),
            allowed="exactly one",
            next=f"the first stands in line {line}; remove one of the two",
        )


def _way(reading: Reading, key: Key) -> None:
    if not isinstance(reading.raw(key), dict):
        return
    ways = [way for way in WAYS if way in reading.entries(key)]
    if len(ways) != 1 and not (len(ways) == 0 and _misspelt_way(reading, key)):
        reading.fault(
            key,
            "a candidate says in exactly one way how it answers",
            got=" and ".join(ways) or "none",
            allowed="exactly one of rule, fit, builtin, code and of",
            next="make them two candidates" if ways else 'add rule = "…", fit = "models.py:name" or builtin = "linear"',
        )
    if ways == ["rule"] and reading.raw((*key, "params")):
        reading.fault((*key, "params"), "a rule takes no params", next="write the numbers into the rule")
    read_files(reading, key)
    _variant(reading, key)


def _variant(reading: Reading, key: Key) -> None:
    """`of` and `precision` belong together, and name another candidate that is no variant itself."""
    entries = reading.entries(key)
    if ("of" in entries) != ("precision" in entries):
        missing = "precision" if "of" in entries else "of"
        reading.fault(
            key,
            "a smaller variant says of which candidate it is, and how its numbers are kept",
            got=f"no {missing}",
            next='add precision = "int8"' if missing == "precision" else 'add of = "NAME", or remove precision',
        )
    name = reading.text((*key, "of"))
    others = {
        reading.text(("candidate", number, "name")): reading.entries(("candidate", number))
        for number in range(reading.length(("candidate",)))
    }
    if not name or ("fit" in others.get(name, {}) or "builtin" in others.get(name, {})):
        return
    allowed = [other for other, table in others.items() if other and ("fit" in table or "builtin" in table)]
    reading.fault(
        (*key, "of"),
        "there is no such fitted candidate",
        got=shown(name),
        allowed=", ".join(allowed) or "a candidate with fit or builtin",
        next=did_you_mean(name, allowed, otherwise="name a candidate that has fit or builtin"),
    )


def _misspelt_way(reading: Reading, key: Key) -> bool:
    """Whether an unknown key, which is a fault already, was meant to be the missing one."""
    return any(nearest(name, WAYS) for name in reading.entries(key) if (*key, name) not in reading.good)


def _data(reading: Reading) -> None:
    data = reading.entries(("data",))
    if not isinstance(reading.raw(("data",)), dict):
        return
    if "outcome_at" in data and "outcome_after" in data:
        reading.fault(
            ("data", "outcome_after"),
            "when the outcome is known is said twice",
            got="outcome_at and outcome_after",
            allowed="exactly one of the two",
            next="keep outcome_at when a column says it, else outcome_after",
        )
    elif "time" in data and not {"outcome_at", "outcome_after"} & data.keys() and not _misspelt_outcome(data):
        reading.fault(
            ("data",),
            "it is not said when the outcome is known",
            got="neither outcome_at nor outcome_after",
            allowed="exactly one of the two",
            next='add outcome_at = "column", or outcome_after = "2h" ("0s" when it is known at once)',
        )
    _split(reading)


def _split(reading: Reading) -> None:
    by, test = reading.text(("data", "split", "by")), reading.text(("data", "split", "test"))
    if test and by not in ("", "time"):
        reading.fault(
            ("data", "split", "test"),
            f"rows split by {by} have no time",
            got=shown(test),
            allowed="a share between 0 and 1",
            next='write a share such as 0.25, or by = "time"',
        )
    if by == "group" and "group" not in reading.entries(("data",)):
        reading.fault(
            ("data", "split", "by"),
            "it is not said which rows belong together",
            got="no data.group",
            next='add group = "COLUMN" to [data]',
        )
    if by in ("random", "group") and reading.entries(("lookup",)):
        reading.fault(
            ("data", "split", "by"),
            "a lookup holds what was known before the held-out rows, and these lie among the others",
            got=shown(by),
            allowed="time or order",
            next='hold out by = "time", or remove the lookups',
        )


def _misspelt_outcome(data: dict[str, object]) -> bool:
    return any(nearest(name, ("outcome_at", "outcome_after")) for name in data if name.startswith("outc"))


def _expressions(reading: Reading) -> None:
    """Syntax of every expression; every lookup is declared, and used."""
    tables = list(reading.entries(("lookup",)))
    keys: list[Key] = [("prepare", name) for name in reading.entries(("prepare",))]
    keys += [("candidate", number, "rule") for number in range(reading.length(("candidate",)))]
    keys += [("evidence", "slices", name) for name in reading.entries(("evidence", "slices"))]
    keys += [("policy", "rule", number, "when") for number in range(reading.length(("policy", "rule")))]
    keys.append(("policy", "abstain"))
    used: set[str] = set()
    unclear = False
    for key in keys:
        names = _lookups(reading, key)
        unclear = unclear or (names is None and reading.raw(key) is not None)
        used.update(names or ())
        for name in sorted(set(names or ()) - set(tables)):
            reading.fault(
                key,
                "this lookup is not declared",
                got=shown(name),
                allowed=", ".join(tables) or "no lookup is declared",
                next=did_you_mean(name, tables, otherwise=f"add [lookup.{name}] with key and value"),
            )
    if unclear or not used <= set(tables):
        return  # an expression that is wrong already may be the one that uses a lookup
    for name in tables:
        if name not in used:
            next = f"add to [prepare]: {name} = 'lookup(\"{name}\", key = [...])', or remove it"
            reading.fault(("lookup", name), "nothing uses this lookup", next=next)


def _lookups(reading: Reading, key: Key) -> set[str] | None:
    """The lookups that the expression at `key` makes; None when it can't be read."""
    text = reading.text(key)
    if not text:
        return None
    try:
        return {call.name for call in lookups_of(parse(text))}
    except KringError as error:
        reading.fault(key, error.message, got=error.got, allowed=error.allowed, next=error.next)
        return None


def _gate(reading: Reading) -> None:
    for name in reading.entries(("gate",)):
        text = reading.text(("gate", name))
        if name in GateTable.__struct_fields__ or not text:
            continue
        try:
            parse_line(name, text)
        except ConfigError as error:
            reading.fault(("gate", name), error.message, got=error.got, allowed=error.allowed, next=error.next)
