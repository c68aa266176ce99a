"""The value of a flag: kill switch, rules, trial, default; and who stays where."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kring.decide.flags import Board, arm_of
from kring.errors import NotFound
from kring.metrics.assignment import chosen
from kring.record.running import Flag, FlagRule, Trial, TrialOutcome
from kring.record.trial import TrialRun

PROMPT = Flag(
    name="prompt",
    variants={"short": "Answer in a line.", "long": "Explain.", "none": ""},
    default="short",
    off="none",
    rules=(FlagRule(variant="long", when='plan == "pro"'), FlagRule(variant="long", when="beta", share=0.3)),
)
LIMIT = Flag(name="limit", variants={"low": 0.4, "high": 0.6}, default="low", off="low")
GRADUAL = Flag(
    name="gradual",
    variants={"no": False, "yes": True},
    default="no",
    off="no",
    rules=(FlagRule(variant="yes", share=0.3),),
)


def trial(**changes: object) -> TrialRun:
    terms = Trial(
        name="prompts",
        flag="prompt",
        arms={"a": "short", "b": "long"},
        control="a",
        shares={"a": 0.7, "b": 0.3},
        outcomes=(TrialOutcome(name="helped"),),
    )
    run = TrialRun(id="tr_1", name="prompts", terms=terms, salt="s", state="running", started=0, by="test")
    return msgspec.structs.replace(run, **changes)


def said(board: Board, name: str, **context: object) -> tuple[str, str]:
    found = board.evaluate(name, {"targetingKey": "ada", **context})
    return found.variant, found.reason


def test_the_first_rule_that_applies_else_the_default() -> None:
    board = Board([PROMPT, LIMIT])
    assert said(board, "prompt", plan="pro") == ("long", "TARGETING_MATCH")
    assert said(board, "prompt", plan="free") == ("short", "DEFAULT")
    assert said(board, "prompt", plan=7) == ("short", "DEFAULT")
    assert said(board, "prompt") == ("short", "DEFAULT")
    assert said(board, "limit") == ("low", "STATIC")
    assert board.evaluate("limit", {"targetingKey": "ada"}).value == 0.4


def test_a_switch_beats_everything() -> None:
    board = Board([PROMPT], trials=[trial()])
    found = board.evaluate("prompt", {"targetingKey": "ada", "plan": "pro"}, off={"prompt"})
    assert (found.variant, found.value, found.reason, found.trial) == ("none", "", "DISABLED", "")


def test_a_share_is_a_share_and_stays() -> None:
    board = Board([GRADUAL, PROMPT])
    units = [f"u{number}" for number in range(3000)]
    answers = [board.evaluate("gradual", {"targetingKey": unit}) for unit in units]
    chosen_ = {unit for unit, one in zip(units, answers, strict=True) if one.value is True}
    assert abs(len(chosen_) / 3000 - 0.3) < 0.03
    assert {one.reason for one in answers} == {"SPLIT", "DEFAULT"}
    wider = msgspec.structs.replace(
        GRADUAL, rules=(FlagRule(variant="yes", when="vip"), FlagRule(variant="yes", share=0.5))
    )
    more = Board([wider])
    assert chosen_ <= {unit for unit in units if more.evaluate("gradual", {"targetingKey": unit}).value}
    beta = {unit for unit in units if said(board, "prompt", targetingKey=unit, beta=True)[0] == "long"}
    assert abs(len(beta & chosen_) / len(chosen_) - 0.3) < 0.06, "two flags choose on their own"


@pytest.mark.parametrize(("share", "count"), [(0.0, 0), (1.0, 200)])
def test_a_share_of_nobody_and_of_everybody(share: float, count: int) -> None:
    board = Board([msgspec.structs.replace(GRADUAL, rules=(FlagRule(variant="yes", share=share),))])
    assert sum(bool(board.evaluate("gradual", {"targetingKey": str(n)}).value) for n in range(200)) == count


def test_a_trial_divides_those_whom_no_rule_concerns() -> None:
    board = Board([PROMPT], trials=[trial()])
    found = [board.evaluate("prompt", {"targetingKey": f"u{n}"}) for n in range(2000)]
    assert {(one.arm, one.variant) for one in found} == {("a", "short"), ("b", "long")}
    assert {(one.reason, one.trial) for one in found} == {("SPLIT", "prompts")}
    assert abs(sum(one.arm == "b" for one in found) / 2000 - 0.3) < 0.04
    assert said(board, "prompt", plan="pro") == ("long", "TARGETING_MATCH")
    assert [one.arm for one in found] == [arm_of(trial(), f"u{n}") for n in range(2000)]
    over = Board([PROMPT], trials=[trial(state="stopped")])
    assert said(over, "prompt") == ("short", "DEFAULT")
    again = Board([PROMPT], trials=[trial(salt="t")])
    moved = [again.evaluate("prompt", {"targetingKey": f"u{n}"}).arm for n in range(2000)]
    assert moved != [one.arm for one in found], "another trial draws anew"


def test_a_flag_that_is_none() -> None:
    with pytest.raises(NotFound):
        Board([PROMPT]).evaluate("promt", {"targetingKey": "ada"})


@given(st.lists(st.floats(0.01, 1), min_size=2, max_size=6), st.text(max_size=10))
def test_shares_are_kept_on_average(raw: list[float], salt: str) -> None:
    shares = [one / sum(raw) for one in raw]
    counts = np.bincount([chosen(f"u{n}", salt=salt, shares=shares) for n in range(2000)], minlength=len(shares))
    assert counts.sum() == 2000
    assert np.all(np.abs(counts / 2000 - shares) < 0.07)
