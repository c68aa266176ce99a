"""Every id leads back to the source, and each step on the way has an owner."""

from __future__ import annotations

import pytest

from kring.errors import NotFound
from kring.flow import adapters, history
from kring.flow.tracing import trace
from kring.record.decision import Decisions
from kring.record.rollout import Rollout
from kring.record.run import Run
from kring.record.snapshot import Snapshot
from kring.record.version import Version
from lives import Lived
from systems import kring

BELOW = {
    "version": ["version", "verdict", "evidence", "run", "snapshot", "contract", "source"],
    "verdict": ["verdict", "evidence", "run", "snapshot", "contract", "source"],
    "evidence": ["evidence", "run", "snapshot", "contract", "source"],
    "run": ["run", "snapshot", "contract", "source"],
    "snapshot": ["snapshot", "contract", "source"],
}
OWNERS = {
    "decision": "Night Duty",
    "alarm": "Night Duty",
    "rollout": "Head of Release",
    "version": "Head of Release",
    "verdict": "Head of Release",
    "evidence": "Lead Scientist",
    "run": "Lead Scientist",
    "snapshot": "Keeper of the Feed",
    "contract": "Feed Team",
    "source": "Feed Team",
}


def newest(lived: Lived) -> Version:
    with lived.project.ledger() as ledger:
        return list(history.all_of(ledger, Version))[-1]


def ids(lived: Lived) -> dict[str, tuple[str, list[str]]]:
    version = newest(lived)
    with lived.project.ledger() as ledger:
        rollout = [one for one in history.all_of(ledger, Rollout) if one.version == version.id][-1]
    alarm = next(one for one in lived.replay.alarms if one.kind == "quality")
    return {
        "d": (lived.replay.trace_id, ["decision", *BELOW["version"]]),
        "v": (version.id, BELOW["version"]),
        "ro": (rollout.id, ["rollout", *BELOW["version"]]),
        "a": (alarm.id, ["alarm", *BELOW["version"]]),
        "j": (version.verdict, BELOW["verdict"]),
        "e": (version.evidence, BELOW["evidence"]),
        "r": (version.run, BELOW["run"]),
        "s": (version.snapshot, BELOW["snapshot"]),
    }


@pytest.mark.parametrize("prefix", ["d", "v", "ro", "a", "j", "e", "r", "s"])
def test_every_kind_of_id_is_traced_with_owners(prefix: str, lived: Lived) -> None:
    id, kinds = ids(lived)[prefix]
    assert id.startswith(f"{prefix}_")
    lineage = trace(lived.project, id)
    assert lineage.id == lineage.nodes[0].id == id
    assert [node.kind for node in lineage.nodes] == kinds
    assert [node.owner for node in lineage.nodes] == [OWNERS[kind] for kind in kinds]
    assert all(node.id and node.facts for node in lineage.nodes)
    moments = [node.at for node in lineage.nodes]
    assert moments == sorted(moments, reverse=True), "each rests on what was there before"


def test_the_chain_is_that_of_the_records(lived: Lived) -> None:
    lineage = trace(lived.project, lived.replay.trace_id)
    by_kind = {node.kind: node for node in lineage.nodes}
    with lived.project.ledger() as ledger:
        version = history.get(ledger, Version, by_kind["version"].id)
        run = history.get(ledger, Run, version.run)
        snapshot = history.get(ledger, Snapshot, version.snapshot)
    assert by_kind["decision"].facts["answered by"] == version.id
    assert by_kind["verdict"].id == version.verdict
    assert by_kind["evidence"].id == version.evidence
    assert by_kind["run"].id == version.run
    assert by_kind["run"].facts["commit"] == run.commit
    assert by_kind["snapshot"].facts["digest"] == snapshot.digest
    assert by_kind["contract"].id == lived.project.contract.digest == snapshot.report.contract_digest
    assert by_kind["source"].facts == {"location": "feed.csv", "digest": snapshot.report.source_digest}


def test_a_decision_shows_its_inputs_and_its_outcome(lived: Lived) -> None:
    facts = trace(lived.project, lived.replay.trace_id).nodes[0].facts
    record, row = adapters.read_log(lived.project.home.log, system="loans").find(lived.replay.trace_id)
    assert facts["decision"] == record.outputs["decision"][row]
    assert f"region {record.inputs['region'][row]}" in facts["inputs"]
    assert "asked_at 2024-" in facts["inputs"]
    assert facts["outcome"].startswith(("true, known 2024-", "false, known 2024-"))
    assert "@" not in facts["inputs"]


def test_a_shadows_answer_is_traced_as_well(lived: Lived) -> None:
    """Also that of a baseline, which lies in the folder of its version."""
    log = adapters.read_log(lived.project.home.log, system="loans")
    shadow = next(one for one in log.read() if isinstance(one.record, Decisions) and one.record.arm == "shadow")
    assert isinstance(shadow.record, Decisions)
    told = kring("status", lived.own.folder, "--home", lived.project.home.root, "--json")
    assert told.code == 0
    assert shadow.record.answered_by.endswith("/baseline")


@pytest.mark.parametrize(
    "id",
    [
        "",
        "x_1",
        "v_",
        "v_nothing",
        "d_1",
        "d_" + "0" * 26,
        "s_" + "0" * 26,
        "p_01HPWR6D009JC",
        "d_" + "Z" * 26,
        "🙂",
    ],
)
def test_an_id_that_nobody_knows(id: str, lived: Lived) -> None:
    with pytest.raises(NotFound):
        trace(lived.project, id)
    told = kring("trace", id, lived.own.folder, "--home", lived.project.home.root, "--json")
    assert (told.code, told.json["error"]["code"]) == (2, "not_found")


def test_a_decision_of_yesterday_is_not_found_at_another_moment(lived: Lived) -> None:
    """The moment is part of the id: a changed one leads nowhere."""
    id = lived.replay.trace_id
    moved = id[:9] + ("0" if id[9] != "0" else "1") + id[10:]
    with pytest.raises(NotFound):
        trace(lived.project, moved)


def test_a_decision_of_a_replay_is_unknown_to_the_system_itself(lived: Lived) -> None:
    assert kring("trace", lived.replay.trace_id, lived.own.folder).code == 2


def test_what_people_read_names_the_same_steps(lived: Lived) -> None:
    told = kring("trace", lived.replay.trace_id, lived.own.folder, "--home", lived.project.home.root)
    assert told.code == 0
    assert [line.split()[1] for line in told.out.splitlines() if line.startswith("└─")] == BELOW["version"]
    assert told.out.count("accountable: ") == 8
