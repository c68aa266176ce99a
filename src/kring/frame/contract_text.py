"""The contract proposed for a table, as YAML with a comment at each column: promises that hold on all of its rows."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

from kring.frame.inspect import Seen
from kring.frame.propose import Proposal
from kring.frame.quoting import comment, quote, scalar

WIDE: Final = 300
"""From so many columns on, each stands on one line, without ranges."""

MOST_VALUES: Final = 30
LONGEST_VALUE: Final = 60
LEAST_SPAN: Final = 1.0
LARGEST: Final = 2.0**53

HEAD: Final = """\
# What the data promises, proposed by `kring new` from {source}: {rows:,} rows, {columns:,} columns.
# Every promise holds on all of these rows. `error` (the default) stops a feed, `warning` only tells: ranges and
# lists of values are warnings, since tomorrow's feed may bring new ones. Tighten what you know to be so.
# The form is ODCS v3.1, the Open Data Contract Standard; docs/contract.md explains each key.

apiVersion: v3.1.0
kind: DataContract
id: {name}-feed
name: {name}
version: 1.0.0
status: draft
description:
  purpose: {purpose}
schema:
  - name: {table}
    physicalType: table
    quality:
      # a tenth of today's rows: fewer are told
      - metric: rowCount
        mustBeGreaterOrEqualTo: {least}
        severity: warning
    properties:
"""


def contract_text(proposal: Proposal, *, name: str, source: str, owner: str) -> str:
    """The whole file. `name` is the system's; `source` how people call the data."""
    looked = proposal.looked
    wide = len(looked.columns) > WIDE
    lines = [
        HEAD.format(
            source=_plain(source),
            rows=looked.rows,
            columns=len(looked.columns),
            name=quote(name),
            purpose=quote(f"Foretell {proposal.aim.target.name}"),
            table=quote(name.replace("-", "_")),
            least=max(1, looked.rows // 10),
        ).replace(f"id: {quote(name)}-feed", f"id: {quote(name + '-feed')}")
    ]
    for seen in looked.columns.values():
        lines += _short(seen, proposal) if wide else _property(seen, proposal)
    if owner:
        lines += ["customProperties:", "  - property: kring.owner", f"    value: {quote(owner)}"]
    return "\n".join([lines[0].rstrip("\n"), *lines[1:]]) + "\n"


def kind_of(seen: Seen, proposal: Proposal) -> str:
    """The type in the contract: the time of decisions is a moment even where it is written as a day."""
    return "timestamp" if seen.name == proposal.split.time else seen.type


def told(seen: Seen, rows: int, *, hidden: bool = False) -> str:
    """What the column holds, in a few words; without values where those are `hidden`."""
    parts = [
        {"integer": "whole numbers", "number": "numbers", "string": "texts", "boolean": "yes or no"}.get(
            seen.type, f"{seen.type}s"
        )
    ]
    if seen.low is not None and seen.high is not None and not hidden:
        parts.append(f"from {seen.low:.6g} to {seen.high:.6g}")
    elif seen.type == "string":
        parts = [f"{'' if seen.values or seen.unique else 'about '}{seen.distinct:,} different texts"]
    if seen.missing:
        parts.append(f"missing in {seen.missing:,} rows ({seen.missing / rows:.1%})")
    if seen.unique:
        parts.append("none twice")
    return ", ".join(parts)


def _property(seen: Seen, proposal: Proposal) -> list[str]:
    if seen.field is None:
        return comment(f"{seen.name} is not promised: {seen.note}. A check only warns of it.", indent="      ")
    use = proposal.uses.get(seen.name)
    words = told(seen, proposal.looked.rows, hidden=use is not None and use.identifier)
    if use is not None and use.left_out:
        words += f"; no input: {use.left_out}"
    lines = comment(words, indent="      ")
    lines.append(f"      - name: {quote(seen.name)}")
    lines.append(f"        logicalType: {kind_of(seen, proposal)}")
    lines += [f"        {key}: true" for key in _flags(seen, proposal)]
    if seen.field.format:
        lines += ["        logicalTypeOptions:", f"          format: {quote(seen.field.format)}"]
    quality = list(_quality(seen, proposal))
    lines += ["        quality:", *(f"          {line}" for line in quality)] if quality else []
    own = list(_own(seen, proposal))
    lines += (
        ["        customProperties:", *(f"          - {{property: {key}, value: {value}}}" for key, value in own)]
        if own
        else []
    )
    return lines


def _short(seen: Seen, proposal: Proposal) -> list[str]:
    """One line for a column of a very wide table."""
    if seen.field is None:
        return comment(f"{seen.name} is not promised: {seen.note}", indent="      ")
    parts = [f"name: {quote(seen.name)}", f"logicalType: {kind_of(seen, proposal)}"]
    parts += [f"{key}: true" for key in _flags(seen, proposal)]
    if seen.field.format:
        parts.append(f"logicalTypeOptions: {{format: {quote(seen.field.format)}}}")
    own = ", ".join(f"{{property: {key}, value: {value}}}" for key, value in _own(seen, proposal))
    if own:
        parts.append(f"customProperties: [{own}]")
    if seen.markers:
        rule = (
            f"metric: missingValues, arguments: {{missingValues: [{_listed(seen.markers)}]}}, mustBeLessOrEqualTo: 100"
        )
        parts.append(f"quality: [{{{rule}, unit: percent, severity: warning}}]")
    return [f"      - {{{', '.join(parts)}}}"]


def _flags(seen: Seen, proposal: Proposal) -> list[str]:
    """`required` where nothing is missing, but never of the outcome, which comes later; `unique` of what names rows."""
    flags = ["required"] if not seen.missing and seen.name != proposal.aim.target.name else []
    use = proposal.uses.get(seen.name)
    named = use is not None and use.left_out and seen.unique and seen.type in ("integer", "string")
    return [*flags, "unique"] if named else flags


def _own(seen: Seen, proposal: Proposal) -> Iterator[tuple[str, str]]:
    use = proposal.uses.get(seen.name)
    if seen.name == proposal.aim.target.name:
        yield "kring.role", "target"
    if seen.name == proposal.split.time:
        yield "kring.role", "time"
    if seen.name == proposal.split.group:
        yield "kring.role", "subject"
    if use is not None and use.identifier:
        yield "kring.identifier", "true"
    if use is not None and use.protected and not use.identifier:
        yield "kring.protected", "true"
    if seen.field is not None and seen.field.decimal != ".":
        yield "kring.decimal", quote(seen.field.decimal)


def _quality(seen: Seen, proposal: Proposal) -> Iterator[str]:
    """What may be missing, and which values there are; those of an identifier are named nowhere."""
    use, target = proposal.uses.get(seen.name), seen.name == proposal.aim.target.name
    share = 100 * seen.missing / proposal.looked.rows
    if seen.markers:
        yield from _rule("missingValues", share, f"missingValues: [{_listed(seen.markers)}]")
    elif seen.missing or target:
        yield from _rule("nullValues", share, "")
    if use is not None and use.identifier:
        return
    if seen.type == "string" or (target and proposal.aim.labels and seen.type != "boolean"):
        yield from _values(seen, target=target)
    elif seen.low is not None and seen.high is not None and not seen.unique:
        yield from _range(seen)


def _rule(metric: str, share: float, arguments: str) -> Iterator[str]:
    """So much may be missing: half as much again as today and five percent more."""
    yield f"- metric: {metric}"
    if arguments:
        yield f"  arguments: {{{arguments}}}"
    yield f"  mustBeLessOrEqualTo: {min(100, math.ceil(1.5 * share + 5))}"
    yield "  unit: percent"
    yield "  severity: warning"


def _values(seen: Seen, *, target: bool) -> Iterator[str]:
    texts = [str(value) for value in seen.values]
    if not texts or (not target and (len(texts) > MOST_VALUES or max(map(len, texts)) > LONGEST_VALUE)):
        return
    yield "- metric: invalidValues"
    yield f"  arguments: {{validValues: [{_listed(seen.values)}]}}"
    yield "  mustBe: 0"
    yield f"  severity: {'error' if target else 'warning'}"


def _range(seen: Seen) -> Iterator[str]:
    """As far again on both sides as values reach today, and not below zero where nothing is."""
    low, high = float(seen.low or 0), float(seen.high or 0)
    span = max(high - low, LEAST_SPAN if seen.type == "integer" else abs(high))
    if not (abs(low) + span < LARGEST and abs(high) + span < LARGEST):
        return
    ends = (0.0 if low >= 0 else _rounded(low - span, math.floor), _rounded(high + span, math.ceil))
    if ends[0] >= ends[1]:
        return
    yield "- metric: invalidValues"
    yield f"  arguments: {{minimum: {scalar(ends[0])}, maximum: {scalar(ends[1])}}}"
    yield "  mustBeLessOrEqualTo: 1"
    yield "  unit: percent"
    yield "  severity: warning"


def _rounded(value: float, towards: object) -> float:
    """Two leading digits, rounded outwards."""
    if value == 0:
        return 0.0
    unit = 10.0 ** (math.floor(math.log10(abs(value))) - 1)
    scaled = math.floor(value / unit) if towards is math.floor else math.ceil(value / unit)
    return float(f"{scaled * unit:.12g}")


def _listed(values: tuple[object, ...]) -> str:
    return ", ".join(scalar(value) for value in values)


def _plain(text: str) -> str:
    return "".join(sign if sign.isprintable() else "�" for sign in text)
