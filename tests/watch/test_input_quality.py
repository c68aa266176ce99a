from __future__ import annotations

import numpy as np
import pytest

from kring.watch.inputs import judge_inputs


@pytest.mark.parametrize(
    ("rows", "violations", "alarm"),
    [
        (0, 0, False),
        (1, 1, True),
        (10, 1, False),
        (900, 45, False),
        (900, 55, False),
        (900, 70, True),
        (900, 900, True),
    ],
)
def test_only_a_share_that_lies_wholly_beyond_is_an_alarm(rows, violations, alarm):
    breach = judge_inputs(rows=rows, violations=violations, allowed=0.05, since=9)
    assert (breach is not None) is alarm
    if breach is not None:
        assert breach.low > 0.05
        assert breach.low <= breach.value <= breach.high
        assert (breach.metric, breach.allowed, breach.rows, breach.since) == (
            "violations", "violations <= 0.05", rows, 9,
        )  # fmt: skip
        assert f"{violations:,} of {rows:,} rows" in breach.what


def test_the_allowed_share_itself_seldom_alarms():
    drawn = np.random.default_rng(1).binomial(900, 0.05, 2000)
    alarms = [judge_inputs(rows=900, violations=int(each), allowed=0.05, since=0) is not None for each in drawn]
    assert np.mean(alarms) < 0.04
