"""R1, R2, R5, R6: the disk fails at the Nth operation of a data worker, for every N.

Whatever happens there, a request is either acknowledged and on record for good, or it is refused or cut off; and the
next worker goes on with what the last one left.
"""

from __future__ import annotations

from typing import Any, Final

import pytest
from asking import Acknowledged
from benches import GROUPS, Bench

from living import lives

WAYS: Final[dict[str, dict[str, Any]]] = {
    "killed": {"crash": True},
    "without power": {"power": True},
    "no space": {"error": "ENOSPC"},
    "no space any more": {"error": "ENOSPC", "stays": True},
    "input/output error": {"error": "EIO"},
}
SHORT: Final = [("killed", True), ("without power", False), ("no space", False), ("input/output error", True)]
"""A way, and whether the log was left open by a worker that was killed."""


@pytest.mark.parametrize(("way", "left_open"), SHORT)
def test_every_operation_may_fail(bench: Bench, way: str, left_open: bool) -> None:
    at_every_operation(bench, way, left_open)


@pytest.mark.long
@pytest.mark.parametrize("left_open", [False, True])
@pytest.mark.parametrize("way", WAYS)
def test_every_operation_may_fail_in_every_way(bench: Bench, way: str, left_open: bool) -> None:
    at_every_operation(bench, way, left_open)


def at_every_operation(bench: Bench, way: str, left_open: bool) -> None:
    bench.begin(left_open=left_open)
    pid = bench.born()
    assert {one.status for one in bench.asked(Acknowledged())} == {200}
    operations = bench.ended(pid)
    assert operations > 2 * GROUPS
    reached = refused = 0
    for nth in range(1, operations + 1):
        bench.begin(left_open=left_open)
        kept = Acknowledged()
        pid = bench.born(nth=nth, **WAYS[way])
        if lives(pid):
            reached += 1
            refused += sum(one.status != 200 for one in bench.asked(kept))
        bench.ended(pid)
        assert not kept.strange, (nth, kept.strange[0])
        goes_on(bench, kept, nth)
    assert reached > GROUPS, "too few of the operations were those of requests"
    assert refused, "nothing of what failed was seen by anybody"


def goes_on(bench: Bench, kept: Acknowledged, nth: int) -> None:
    """The next worker answers all of it: what was answered before as before, and nothing twice."""
    pid = bench.born()
    said = bench.asked(kept)
    bench.ended(pid)
    assert [one.status for one in said] == [200] * len(said), (nth, said, bench.log.read_text())
    kept.hold_against(bench.system.folder, system=bench.system.name)
