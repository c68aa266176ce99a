from __future__ import annotations

from xml.etree import ElementTree

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kring.record.evidence import Evidence, Measure
from kring.record.run import Run
from kring.record.system import Gate
from kring.record.verdict import GateLine, Judgement, Verdict
from kring.release.gate import exit_code, gate_digest, judge, junit, staleness


def measured(**intervals: tuple[float, float]) -> Evidence:
    return Evidence(
        id="e_1",
        run="r_1",
        baseline_run="r_0",
        candidate="boosted",
        snapshot="s_1",
        rows=500,
        groups=30,
        group_by="day",
        draws=100,
        seed=0,
        threshold=0.5,
        measures=tuple(
            Measure(
                name=name.replace("__", "."), value=(low + high) / 2, low=low, high=high,
                rows=500, groups=30, better=1, method="test",
            )
            for name, (low, high) in intervals.items()
        ),
        curves=(),
        at=0,
    )  # fmt: skip


GATE = Gate(
    lines=(
        GateLine(metric="roc_auc", op=">=", limit=0.6),
        GateLine(metric="calibration_error", op="<=", limit=0.05),
        GateLine(metric="fairness.*", op="<=", limit=0.1),
    )
)
GOOD = measured(roc_auc=(0.65, 0.7), calibration_error=(0.01, 0.03), fairness__sex=(0.0, 0.05))


def verdict(evidence: Evidence = GOOD, gate: Gate = GATE, stale: tuple[str, ...] = ()) -> Verdict:
    return judge(evidence, gate, id="j_1", system="flights", at=1_380_000_000_000_000, stale=stale)


def test_every_line_passes() -> None:
    judged = verdict()
    assert judged.result == "pass"
    assert [line.metric for line in judged.lines] == ["roc_auc", "calibration_error", "fairness.sex"]
    assert (judged.run, judged.evidence, judged.candidate) == ("r_1", "e_1", "boosted")
    assert exit_code(judged) == 0


def test_one_failing_line_fails_all() -> None:
    bad = measured(roc_auc=(0.5, 0.7), calibration_error=(0.2, 0.3), fairness__sex=(0.0, 0.05))
    judged = verdict(bad)
    assert judged.result == "fail"
    assert [line.result for line in judged.lines] == ["investigate", "fail", "pass"]
    assert exit_code(judged) == 1


def test_a_missing_metric_is_investigated() -> None:
    judged = verdict(measured(roc_auc=(0.65, 0.7), calibration_error=(0.01, 0.03)))
    assert judged.result == "investigate"
    assert judged.lines[2].metric == "fairness.*"
    assert exit_code(judged) == 1


def test_stale_evidence_is_investigated_whatever_it_says() -> None:
    bad = measured(roc_auc=(0.1, 0.2), calibration_error=(0.01, 0.03), fairness__sex=(0.0, 0.05))
    for evidence in (GOOD, bad):
        judged = verdict(evidence, stale=("measured with snapshot a, to be released with b",))
        assert {line.result for line in judged.lines} == {"investigate"}
        assert all("snapshot a" in line.reason for line in judged.lines)


def test_an_empty_gate_can_only_be_investigated() -> None:
    judged = verdict(gate=Gate())
    assert judged.result == "investigate"
    assert "no lines" in judged.lines[0].reason
    assert exit_code(judged) == 1


def test_too_few_rows_are_investigated() -> None:
    judged = verdict(gate=msgspec.structs.replace(GATE, min_rows=501))
    assert judged.result == "investigate"


def test_the_policy_digest_changes_with_the_gate_alone() -> None:
    assert verdict().policy_digest == verdict(stale=("other",)).policy_digest == gate_digest(GATE)
    stricter = msgspec.structs.replace(GATE, min_rows=101)
    assert gate_digest(stricter) != gate_digest(GATE)
    given_digest = judge(GOOD, GATE, id="j_1", system="flights", at=0, policy_digest="abc")
    assert given_digest.policy_digest == "abc"


def test_evidence_is_stale_for_another_snapshot_contract_configuration_or_commit() -> None:
    run = Run(
        id="r_1", system="flights", candidate="boosted", kind="boosted", baseline=False, state="done", snapshot="s_1",
        snapshot_digest="s", contract_digest="c", config_digest="k", commit="g", seed=0, parts=(), at=0,
    )  # fmt: skip
    now = {"snapshot_digest": "s", "contract_digest": "c", "config_digest": "k", "commit": "g"}
    assert staleness(run, **now) == ()
    for name in now:
        (reason,) = staleness(run, **{**now, name: "other"})
        assert "other" in reason


def test_junit_has_one_case_per_line_and_no_skipped_one() -> None:
    bad = measured(roc_auc=(0.5, 0.7), calibration_error=(0.2, 0.3), fairness__sex=(0.0, 0.05))
    root = ElementTree.fromstring(junit(verdict(bad)).encode())
    (suite,) = root.findall("testsuite")
    cases = suite.findall("testcase")
    assert root.tag == "testsuites"
    for element in (root, suite):
        assert (element.get("tests"), element.get("failures"), element.get("errors")) == ("3", "1", "1")
    assert suite.get("skipped") == "0"
    assert suite.get("timestamp") == "2013-09-24T05:20:00"
    assert [case.get("name") for case in cases] == [
        "roc_auc >= 0.6",
        "calibration_error <= 0.05",
        "fairness.sex (fairness.* <= 0.1)",
    ]
    assert [[child.tag for child in case] for case in cases] == [["error"], ["failure"], ["system-out"]]
    assert all(case.get("classname") == "flights.boosted" and case.get("time") == "0" for case in cases)
    assert "0.2 to 0.3" in (cases[1].find("failure").get("message") or "")  # type: ignore[union-attr]


@given(st.text(max_size=20), st.text(max_size=20), st.sampled_from(["pass", "fail", "investigate"]))
def test_junit_holds_any_text(name: str, reason: str, result: str) -> None:
    line = Judgement(metric=name, rule=f"{name} <= 1", result=result, reason=reason)  # type: ignore[arg-type]
    judged = msgspec.structs.replace(verdict(), system=name, candidate=reason, lines=(line,))
    case = ElementTree.fromstring(junit(judged).encode()).find("testsuite/testcase")
    assert case is not None
    if name.isprintable():
        assert case.get("name") == f"{name} <= 1"


@pytest.mark.parametrize("nasty", ['"/><x a="', "]]>", "<!--", "&amp;", "\x00\x1b[31m", "\ud800", "￾"])
def test_junit_escapes_what_would_break_out(nasty: str) -> None:
    line = Judgement(metric=nasty, rule=nasty, result="fail", reason=nasty)
    text = junit(msgspec.structs.replace(verdict(), system=nasty, lines=(line,)))
    root = ElementTree.fromstring(text.encode())
    assert {element.tag for element in root.iter()} == {
        "testsuites", "testsuite", "properties", "property", "testcase", "failure",
    }  # fmt: skip
    assert "\x1b" not in text
