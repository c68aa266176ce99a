"""Of which version the gate's verdict speaks when none is named."""

from __future__ import annotations

import msgspec
import pytest

from kring.flow.viewing.gates import version_at_work
from kring.record.operator import OperatorState
from kring.record.rollout import Pointer

LIVE = Pointer(system="loans", live="v_1", previous="v_0", generation=3, rollout="ro_1", at=1)


@pytest.mark.parametrize(
    ("change", "version"),
    [
        ({}, "v_1"),
        ({"canary": "v_2", "share": 0.2}, "v_2"),
        ({"live": "v_2", "canary": "v_1", "share": 0.05, "highest": True}, "v_2"),
    ],
)
def test_it_is_the_new_one_from_the_first_share_until_it_has_baked(change: dict[str, object], version: str) -> None:
    state = OperatorState(system="loans", pointer=msgspec.structs.replace(LIVE, **change))
    assert version_at_work(state) == version


def test_before_anything_answers_there_is_none() -> None:
    assert version_at_work(None) == version_at_work(OperatorState(system="loans")) == ""
