"""From the tables as written to the record System."""

from __future__ import annotations

import msgspec

from kring.frame.build_running import flag, learn_plan, notify, rollout_plan, slo, span, trial, watch_plan
from kring.frame.durations import microseconds
from kring.frame.source import Source
from kring.frame.tables import (
    AccessTable,
    CandidateTable,
    CostTable,
    DataTable,
    EvidenceTable,
    File,
    FrameTable,
    GateTable,
    GovernTable,
    GuardTable,
    KnowledgeTable,
    OidcTable,
    PeopleTable,
    PersonTable,
    PolicyTable,
    PriceTable,
    RateTable,
    TuneTable,
)
from kring.metrics.gates import parse_line
from kring.record.access import AccessPolicy, Oidc, Rate
from kring.record.contract import Scalar
from kring.record.prepare import LookupSpec
from kring.record.running import Drills
from kring.record.system import (
    Candidate,
    Data,
    EvidencePlan,
    Frame,
    Gate,
    Govern,
    Guard,
    Knowledge,
    LogPlan,
    Person,
    PolicyPlan,
    Split,
    Stage,
    System,
    Tune,
)
from kring.record.version import Price, Ruling


def build(source: Source) -> System:
    """The System of a source in which no fault was found."""
    file = msgspec.convert(source.table, File)
    return System(
        name=file.system.name,
        goal=file.system.goal,
        task=file.system.task,
        owner=file.system.owner,
        affects=file.system.affects,
        human_oversight=file.system.human_oversight,
        people=_people(file.people),
        frame=_frame(file.frame, others=_others(source, CostTable, "frame", "cost")),
        data=_data(file.data),
        prepare=file.prepare,
        lookups=tuple(
            LookupSpec(name=name, key=table.key, value=table.value, prior=table.prior)
            for name, table in file.lookup.items()
        ),
        candidates=tuple(_candidate(table) for table in file.candidate),
        price=_price(file.price),
        knowledge=_knowledge(file.knowledge),
        evidence=_evidence(file.evidence),
        gate=Gate(
            lines=tuple(parse_line(name, str(text)) for name, text in _others(source, GateTable, "gate").items()),
            min_rows=file.gate.min_rows,
        ),
        rollout=rollout_plan(file.rollout),
        policy=_policy(file.policy),
        guard=_guard(file.guard),
        watch=watch_plan(file.watch),
        learn=learn_plan(file.learn),
        notify=tuple(notify(table) for table in file.notify),
        slo=slo(file.slo),
        drills=Drills(names=file.drill.names, every_us=microseconds(file.drill.every)),
        flags=tuple(flag(table) for table in file.flag),
        trials=tuple(trial(table) for table in file.trial),
        log=LogPlan(durability=file.log.durability),
        govern=_govern(file.govern),
        access=_access(file.access),
        file=source.file,
        digest=source.digest,
    )


def _others(source: Source, own: type[msgspec.Struct], *path: str) -> dict[str, object]:
    """The keys of an open table that are not its own."""
    table: object = source.table
    for name in path:
        table = table.get(name) if isinstance(table, dict) else None
    if not isinstance(table, dict):
        return {}
    return {name: value for name, value in table.items() if name not in own.__struct_fields__}


def _people(table: PeopleTable) -> dict[Stage, Person]:
    named: tuple[tuple[Stage, PersonTable | msgspec.UnsetType], ...] = (
        ("frame", table.frame),
        ("data", table.data),
        ("experiment", table.experiment),
        ("release", table.release),
        ("operate", table.operate),
    )
    return {
        stage: Person(accountable=person.accountable, responsible=person.responsible)
        for stage, person in named
        if not isinstance(person, msgspec.UnsetType)
    }


def _frame(table: FrameTable, *, others: dict[str, object]) -> Frame:
    return Frame(
        decision=table.decision,
        good_enough=table.good_enough,
        cost=msgspec.convert(others, dict[str, float]),
        currency=table.cost.currency,
        default=_scalar(table.default),
        feedback=table.feedback,
        open=table.open,
    )


def _data(table: DataTable) -> Data:
    test = table.split.test
    split = (
        Split(by=table.split.by, test_us=microseconds(test))
        if isinstance(test, str)
        else Split(by=table.split.by, test_share=test)
    )
    return Data(
        source=table.source,
        contract=table.contract,
        target=table.target,
        positive=_scalar(table.positive),
        time=table.time,
        subject=table.subject,
        protected=table.protected,
        group=table.group,
        outcome_at=table.outcome_at,
        outcome_after_us=span(table.outcome_after),
        window_us=span(table.window),
        split=split,
        supplier=table.supplier,
        tables=table.tables,
    )


def _candidate(table: CandidateTable) -> Candidate:
    timeout, memory_mb = ("1s", 512) if table.code else ("10m", 4096)
    if not isinstance(table.timeout, msgspec.UnsetType):
        timeout = table.timeout
    if not isinstance(table.memory_mb, msgspec.UnsetType):
        memory_mb = table.memory_mb
    return Candidate(
        name=table.name,
        baseline=table.baseline,
        rule=table.rule,
        fit=table.fit,
        builtin="" if isinstance(table.builtin, msgspec.UnsetType) else table.builtin,
        columns=table.columns,
        params=dict(table.params),
        code=table.code,
        files=table.files,
        timeout_us=microseconds(timeout),
        memory_mb=memory_mb,
        price=table.price,
        of=table.of,
        precision="" if isinstance(table.precision, msgspec.UnsetType) else table.precision,
        tune=None if isinstance(table.tune, msgspec.UnsetType) else _tune(table.tune),
    )


def _price(table: PriceTable) -> Price:
    return Price(decision=table.decision, second=table.second)


def _tune(table: TuneTable) -> Tune:
    return Tune(ranges=dict(table.ranges), trials=table.trials, timeout_us=microseconds(table.timeout))


def _knowledge(table: KnowledgeTable | msgspec.UnsetType) -> Knowledge | None:
    if isinstance(table, msgspec.UnsetType):
        return None
    return Knowledge(documents=table.documents, chunk=table.chunk)


def _evidence(table: EvidenceTable) -> EvidencePlan:
    return EvidencePlan(
        folds=table.folds, behaviours=table.behaviours, slices=table.slices, max_slices=table.max_slices
    )


def _policy(table: PolicyTable) -> PolicyPlan:
    rules = (Ruling(when=rule.when, decision=rule.decision, reason=rule.reason) for rule in table.rule)
    return PolicyPlan(rules=tuple(rules), abstain=table.abstain)


def _guard(table: GuardTable) -> Guard:
    return Guard(out_of_contract=table.out_of_contract, outliers=table.outliers, timeout_us=table.timeout_ms * 1000)


def _govern(table: GovernTable) -> Govern:
    return Govern(
        role="" if isinstance(table.role, msgspec.UnsetType) else table.role,
        risk=table.risk,
        retention_us=span(table.retention),
    )


def _access(table: AccessTable) -> AccessPolicy:
    return AccessPolicy(
        oidc=None if isinstance(table.oidc, msgspec.UnsetType) else _oidc(table.oidc),
        per_key=_rate(table.per_key),
        per_system=_rate(table.per_system),
    )


def _oidc(table: OidcTable) -> Oidc:
    return Oidc(
        issuer=table.issuer,
        audience=table.audience,
        jwks=table.jwks,
        claim=table.claim,
        roles=table.roles,
        max_age_us=microseconds(table.max_age),
    )


def _rate(table: RateTable) -> Rate:
    return Rate(
        per_second=0.0 if isinstance(table.per_second, msgspec.UnsetType) else table.per_second,
        at_once=0 if isinstance(table.at_once, msgspec.UnsetType) else table.at_once,
    )


def _scalar(value: bool | int | float | str | msgspec.UnsetType) -> Scalar:
    return None if isinstance(value, msgspec.UnsetType) else value
