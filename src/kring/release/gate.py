"""The verdict: every line of the gate over the evidence of one run."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from xml.etree import ElementTree

import msgspec

from kring.errors import EXIT_DONE, EXIT_NO
from kring.metrics.gates import judge_line, worst
from kring.record.evidence import Evidence
from kring.record.run import Run
from kring.record.system import Gate
from kring.record.verdict import GateResult, Judgement, Verdict

NO_LINES: Final = Judgement(
    metric="gate",
    rule="at least one line",
    result="investigate",
    reason="the gate has no lines, so nothing was promised and nothing can pass",
)
NOT_XML: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def gate_digest(gate: Gate) -> str:
    """SHA-256 (hexadecimal) of the gate's canonical JSON: which policy gave a verdict."""
    return hashlib.sha256(msgspec.json.encode(gate, order="sorted")).hexdigest()


def staleness(
    run: Run, *, snapshot_digest: str, contract_digest: str, config_digest: str, commit: str
) -> tuple[str, ...]:
    """Why evidence of `run` says nothing about what is being released; empty when it does."""
    pairs = (
        ("snapshot", run.snapshot_digest, snapshot_digest),
        ("contract", run.contract_digest, contract_digest),
        ("kring.toml", run.config_digest, config_digest),
        ("commit", run.commit, commit),
    )
    return tuple(
        f"measured with {name} {then[:12] or 'unknown'}, to be released with {now[:12] or 'unknown'}"
        for name, then, now in pairs
        if then != now
    )


def judge(
    evidence: Evidence,
    gate: Gate,
    *,
    id: str,
    system: str,
    at: int,
    stale: Sequence[str] = (),
    policy_digest: str = "",
) -> Verdict:
    """The verdict of `gate` over `evidence` at `at` (microseconds UTC), the worst of its lines.

    `stale` are reasons why the evidence belongs to another snapshot, contract, commit or
    configuration (see `staleness`): with one of them no line passes or fails. A gate without
    lines can only be investigated. `policy_digest` says which policy this was, by default the
    gate's own digest.
    """
    lines = tuple(
        judgement
        for line in gate.lines
        for judgement in judge_line(line, evidence.measures, min_rows=gate.min_rows, stale=stale)
    ) or (NO_LINES,)
    return Verdict(
        id=id,
        system=system,
        run=evidence.run,
        evidence=evidence.id,
        candidate=evidence.candidate,
        result=worst([line.result for line in lines]),
        lines=lines,
        policy_digest=policy_digest or gate_digest(gate),
        at=at,
    )


def exit_code(verdict: Verdict) -> int:
    """0 when the gate passed, 1 when the answer is no or not yet."""
    return EXIT_DONE if verdict.result == "pass" else EXIT_NO


def junit(*verdicts: Verdict) -> str:
    """JUnit XML: one testsuite per verdict, one testcase per line of the gate.

    A line that failed is a `failure`. A line to investigate is an `error`, never `skipped`: CI
    servers count a skipped test as success, and missing data is no success.
    """
    counts = _counts([line for verdict in verdicts for line in verdict.lines])
    root = ElementTree.Element("testsuites", {"name": "kring gate", **counts})
    for verdict in verdicts:
        _testsuite(root, verdict)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=False).join(
        ('<?xml version="1.0" encoding="UTF-8"?>\n', "\n")
    )


def _counts(lines: Sequence[Judgement]) -> dict[str, str]:
    results = [line.result for line in lines]
    return {
        "tests": str(len(results)),
        "failures": str(results.count("fail")),
        "errors": str(results.count("investigate")),
    }


def _testsuite(root: ElementTree.Element, verdict: Verdict) -> None:
    suite = ElementTree.SubElement(
        root,
        "testsuite",
        {
            "name": _text(f"{verdict.system} gate: {verdict.candidate}"),
            **_counts(verdict.lines),
            "skipped": "0",
            "time": "0",
            "timestamp": (EPOCH + timedelta(microseconds=verdict.at)).strftime("%Y-%m-%dT%H:%M:%S"),
        },
    )
    properties = ElementTree.SubElement(suite, "properties")
    for name in ("id", "run", "evidence", "candidate", "result", "policy_digest"):
        ElementTree.SubElement(properties, "property", {"name": name, "value": _text(getattr(verdict, name))})
    for line in verdict.lines:
        _testcase(suite, line, classname=_text(f"{verdict.system}.{verdict.candidate}"))


def _testcase(suite: ElementTree.Element, line: Judgement, *, classname: str) -> None:
    name = line.rule if line.rule.startswith(line.metric) else f"{line.metric} ({line.rule})"
    case = ElementTree.SubElement(suite, "testcase", {"classname": classname, "name": _text(name), "time": "0"})
    kinds: dict[GateResult, str] = {"fail": "failure", "investigate": "error"}
    if line.result in kinds:
        said = {"message": _text(line.reason), "type": line.result}
        ElementTree.SubElement(case, kinds[line.result], said).text = _text(f"{name}: {line.reason}")
    else:
        ElementTree.SubElement(case, "system-out").text = _text(line.reason)


def _text(text: str) -> str:
    """`text` without the characters that XML 1.0 can't hold (section 2.2)."""
    return NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)
