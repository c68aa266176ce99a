"""Windows are derived: the decision log alone gives them again."""

from __future__ import annotations

from kring.flow import adapters, history
from kring.flow.deciding import open_answerers
from kring.flow.replaying.rebuild import rebuilt
from kring.flow.replaying.summary import months, periods, weeks
from kring.flow.watching.windows import Windows
from kring.record.decision import Decisions
from kring.record.version import Version
from lives import Lived
from systems import DAY


def again(lived: Lived) -> Windows:
    project = lived.project
    with project.ledger() as ledger:
        versions = [one.id for one in history.all_of(ledger, Version)]
    policies = {id: open_answerers(project, id).answerer.policy for id in versions}
    logged = adapters.read_log(project.home.log, system=project.system.name).read()
    return rebuilt(project.system, project.task, logged, policies=policies)


def test_windows_from_the_log_are_those_that_were_kept(lived: Lived) -> None:
    windows, replay = again(lived), lived.replay
    assert tuple(windows.volumes()) == replay.volumes
    for kept, spans in ((replay.weeks, weeks), (replay.months, months)):
        found = tuple(periods(windows, list(spans(replay.start, replay.end)), seed=replay.seed))
        assert found == kept
        assert {period.series for period in found} == {"live", "baseline", "frozen"}


def test_windows_count_every_decision_and_name_who_broke_the_contract(lived: Lived) -> None:
    windows = again(lived)
    log = adapters.read_log(lived.project.home.log, system="loans").read()
    answers = [one.record for one in log if isinstance(one.record, Decisions) and one.record.arm != "shadow"]
    for start, decisions, _ in windows.volumes():
        mine = [record for record in answers if start <= record.at < start + DAY]
        closed = windows.closed(start, start + DAY)
        assert closed.decisions == decisions == sum(record.n for record in mine)
        assert closed.violations == sum(len(record.guards) for record in mine)
        assert closed.fallbacks == 0


def test_a_shadow_is_compared_from_the_log(lived: Lived) -> None:
    second = lived.replay.versions[1].id
    compared = again(lived).compared(second)
    assert compared.rows > 0
    assert compared.failures == 0
    assert 0.5 < compared.agreement <= 1
    rollout = next(one for one in lived.replay.rollouts if one.version == second)
    assert rollout.state in ("baking", "done")


def test_what_a_shadow_said_in_an_earlier_rollout_does_not_count_in_a_later_one(lived: Lived) -> None:
    second = lived.replay.versions[1].id
    log = adapters.read_log(lived.project.home.log, system="loans").read()
    said = [
        one.record.at for one in log
        if isinstance(one.record, Decisions) and one.record.kind == "shadow" and one.record.version == second
    ]  # fmt: skip
    windows, middle = again(lived), sorted(said)[len(said) // 2]
    assert 0 < windows.compared(second, since=middle).rows < windows.compared(second).rows
    assert windows.compared(second, since=max(said) + 1).rows == 0
