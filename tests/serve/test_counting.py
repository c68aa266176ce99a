"""What a worker counts by version stays small, however many versions there ever were."""

from __future__ import annotations

from kring.record.decision import Decisions
from kring.serve.counting import MOST_VERSIONS, Counts


def decided(version: str, *, system: str = "loans", by: str = "") -> Decisions:
    return Decisions(
        system=system,
        version=version,
        answered_by=by or version,
        arm="live",
        kind="online",
        at=0,
        n=2,
        inputs={},
        outputs={},
        latency_us=1,
    )


def counted(counts: Counts, system: str = "loans") -> dict[str, float]:
    grown = counts.tally(0.0, ()).grown["kring_decisions_total"]
    return {labels[1]: value for labels, value in grown if labels[0] == system}


def test_the_oldest_version_makes_room_for_a_new_one() -> None:
    counts = Counts(0)
    counts.decided(decided("v_0", system="parcels"))
    for number in range(100):
        counts.decided(decided(f"v_{number}"))
        counts.decided(decided(f"v_{number}", by="default"))
    newest = {f"v_{number}" for number in range(100 - MOST_VERSIONS, 100)}
    told = counts.tally(0.0, ()).grown
    assert {name: {labels[1] for labels, _ in some if labels[0] == "loans"} for name, some in told.items()} == {
        "kring_decisions_total": newest,
        "kring_fallbacks_total": newest,
    }
    assert counted(counts, "parcels") == {"v_0": 2}


def test_a_version_that_comes_back_begins_anew_and_goes_on_counting() -> None:
    counts = Counts(0)
    for number in (*range(MOST_VERSIONS + 1), 0, 0, MOST_VERSIONS):
        counts.decided(decided(f"v_{number}"))
    assert counted(counts)["v_0"] == 4
    assert counted(counts)[f"v_{MOST_VERSIONS}"] == 4
    again = Counts(0, before=counts.tally(0.0, ()))
    again.decided(decided("v_new"))
    assert len(counted(again)) == MOST_VERSIONS
