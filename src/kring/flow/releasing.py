"""evidence → gate → verdict → version."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from kring.data.recipes import FILE as RECIPE_FILE
from kring.errors import Conflict, IntegrityError, NotFound, Refused, UserError
from kring.experiment.comparison import compare, trades
from kring.flow import history
from kring.flow.cleaning import open_recipe
from kring.flow.project import Project
from kring.flow.training.keep import behaviours_digest, kept, sha256
from kring.flow.training.train import Trained
from kring.record.evidence import Evidence
from kring.record.run import Run
from kring.record.verdict import Verdict
from kring.record.version import Chain, Link, Manifest, Version
from kring.release.build import pack
from kring.release.gate import judge
from kring.release.sign import new_key, public_of

FORMAT: Final = 1
CONTRACT_FILE: Final = "contract.odcs.yaml"
PINNED: Final = ("kring", "numpy", "onnxruntime", "polars", "scikit-learn", "skl2onnx")
RANK: Final = {"pass": 0, "investigate": 1, "fail": 2}


@dataclass(frozen=True)
class Judged:
    """A trained candidate and what the gate says of it."""

    trained: Trained
    verdict: Verdict


def latest_training(project: Project) -> list[Trained]:
    """Runs of the newest snapshot that was trained on, the newest run of each candidate."""
    with project.ledger() as ledger:
        runs = list(history.all_of(ledger, Run))
        evidence = {one.run: one for one in history.all_of(ledger, Evidence)}
    if not runs:
        raise NotFound("there is no run yet", next=f"run kring train {project.folder} first")
    newest = {run.candidate: run for run in runs if run.snapshot == runs[-1].snapshot}
    return [Trained(run=run, evidence=evidence.get(run.id)) for run in newest.values()]


def judge_all(project: Project, trained: Sequence[Trained], *, snapshot_digest: str) -> list[Judged]:
    """A verdict for each candidate with evidence, appended to the ledger; the best first."""
    judged = []
    for one in trained:
        if one.evidence is None or one.run.baseline:
            continue
        verdict = judge(
            one.evidence,
            project.system.gate,
            stale=stale_reasons(project, one.run, snapshot_digest=snapshot_digest),
            id=project.new_id("j"),
            system=project.system.name,
            policy_digest=project.system.digest,
            at=project.clock.now(),
        )
        judged.append(Judged(trained=one, verdict=verdict))
        project.say(f"gate    {one.run.candidate}: {verdict.result}")
    with project.ledger() as ledger:
        ledger.append(
            [history.entry(one.verdict, id=one.verdict.id, actor=project.actor, at=one.verdict.at) for one in judged]
        )
    return sorted(judged, key=lambda one: (RANK[one.verdict.result], *merit(one)))


def merit(judged: Judged) -> tuple[float, ...]:
    """Smaller is better: expected cost where it is known, else the task's first measure."""
    evidence = judged.trained.evidence
    assert evidence is not None
    for measure in evidence.measures:
        if measure.name == "expected_cost":
            return (measure.value,)
    first = evidence.measures[0]
    return (-first.better * first.value,)


def stale_reasons(project: Project, run: Run, *, snapshot_digest: str) -> list[str]:
    """Why this run's evidence does not speak about what would be released now."""
    recipe = open_recipe(project)
    pairs = (
        ("clean.toml", run.recipe, recipe.digest if recipe else ""),
        ("behaviours.toml", run.behaviours, behaviours_digest(project)),
        ("snapshot", run.snapshot_digest, snapshot_digest),
        ("contract", run.contract_digest, project.contract.digest),
        ("kring.toml", run.config_digest, project.system.digest),
        ("commit", run.commit, project.commit),
    )
    return [f"measured on another {what}" for what, then, now in pairs if then != now]


def dominators(trained: Sequence[Trained]) -> dict[str, tuple[str, ...]]:
    """By candidate, those that are worse in no trade (quality, latency, memory, cost, fairness) and clearly better
    in one, of those that were last trained together."""
    found = [one.evidence for one in trained if one.evidence]
    evidence = [one for one in found if one.baseline_run == found[-1].baseline_run]
    if not evidence:
        return {}
    axes = trades(evidence, quality=evidence[0].measures[0].name)
    return {row.candidate: row.dominated_by for row in compare(evidence, metrics=tuple(axes.values()))}


def require_reason(candidate: str, beaten_by: Sequence[str], because: str) -> None:
    """`UserError` when a dominated candidate is asked for without a reason."""
    if beaten_by and not because.strip():
        raise UserError(
            f"{candidate} is dominated: {', '.join(beaten_by)} is worse in nothing and clearly better in something",
            got=f"--candidate {candidate} without a reason",
            allowed=f"{beaten_by[0]}, or a reason that goes on record",
            next=f'kring compare shows the trade-offs; kring release --candidate {candidate} --because "…"',
        )


def build_version(
    project: Project, judged: Judged, *, dominated_by: tuple[str, ...] = (), because: str = ""
) -> Version:
    """Pack and sign a passed candidate and put it on the ledger. `Refused` unless it passed."""
    verdict, run = judged.verdict, judged.trained.run
    if verdict.result != "pass":
        reasons = [f"{line.metric}: {line.reason}" for line in verdict.lines if line.result != "pass"]
        raise Refused(
            f"the gate says {verdict.result} to {run.candidate}",
            got="; ".join(reasons),
            allowed="pass on every line",
            next="kring compare shows the evidence; better data or another candidate may pass",
        )
    evidence = judged.trained.evidence
    assert evidence is not None
    manifest, files = contents(project, run, evidence, verdict)
    with project.working():
        key = signing_key(project)
        id, root = pack(project.home.versions, manifest=manifest, files=files, key_pem=key, store=project.files)
    version = Version(
        id=id,
        system=project.system.name,
        candidate=run.candidate,
        root=root,
        key=sha256(public_of(key)),
        run=run.id,
        baseline_run=evidence.baseline_run,
        evidence=evidence.id,
        verdict=verdict.id,
        snapshot=run.snapshot,
        size=sum(len(data) for data in files.values()),
        at=project.clock.now(),
        dominated_by=dominated_by,
        because=because,
    )
    with project.ledger() as ledger:
        ledger.append([history.entry(version, id=version.id, actor=project.actor, at=version.at)])
    project.say(f"version {version.id} of {run.candidate}, signed")
    return version


def contents(project: Project, run: Run, evidence: Evidence, verdict: Verdict) -> tuple[Manifest, dict[str, bytes]]:
    """The manifest and every other file of a version folder."""
    chain, files = kept(project, run)
    with project.ledger() as ledger:
        baseline_run = history.get(ledger, Run, evidence.baseline_run)
    baseline, baseline_files = kept(project, baseline_run)
    files |= {f"baseline/{name}": data for name, data in baseline_files.items()}
    files[CONTRACT_FILE] = contract_bytes(project)
    if run.recipe:
        files[RECIPE_FILE] = project.files.read(project.folder / RECIPE_FILE)
    environment = pinned_environment()
    files["lineage.json"] = lineage(project, run, verdict)
    files["environment.json"] = msgspec.json.encode(environment, order="sorted")
    manifest = Manifest(
        format=FORMAT,
        system=project.system.name,
        task=project.system.task,
        chain=chain,
        baseline=moved_under("baseline/", baseline),
        contract=CONTRACT_FILE,
        contract_digest=project.contract.digest,
        config_digest=project.system.digest,
        snapshot=run.snapshot,
        snapshot_digest=run.snapshot_digest,
        run=run.id,
        baseline_run=evidence.baseline_run,
        evidence=evidence.id,
        verdict=verdict.id,
        commit=run.commit,
        owner=project.system.owner,
        accountable=project.system.accountable("release"),
        environment=environment,
        recipe_digest=sha256(files[RECIPE_FILE]) if run.recipe else "",
        companions=run.companions | {f"baseline/{name}": digest for name, digest in baseline_run.companions.items()},
    )
    return manifest, files


def lineage(project: Project, run: Run, verdict: Verdict) -> bytes:
    """Where the version came from, as JSON."""
    found = {
        "snapshot": run.snapshot,
        "snapshot_digest": run.snapshot_digest,
        "run": run.id,
        "evidence": verdict.evidence,
        "verdict": verdict.id,
        "commit": run.commit,
        "source": project.system.data.source,
    }
    return msgspec.json.encode(found, order="sorted")


def contract_bytes(project: Project) -> bytes:
    """The contract that the evidence was judged by. `Conflict` when the file has changed meanwhile."""
    data = project.files.read(Path(project.contract.file))
    if sha256(data) != project.contract.digest:
        raise Conflict(
            "the contract has changed while the version was built",
            got=sha256(data)[:16],
            allowed=project.contract.digest[:16],
            file=project.contract.file,
            next="train again on the changed contract, then release",
        )
    return data


def moved_under(prefix: str, chain: Chain) -> Chain:
    links = tuple(move(prefix, link) for link in chain.links)
    return msgspec.structs.replace(chain, links=links)


def move(prefix: str, link: Link) -> Link:
    code = link.code and msgspec.structs.replace(
        link.code, files={prefix + name: digest for name, digest in link.code.files.items()}
    )
    return msgspec.structs.replace(link, file=prefix + link.file, code=code) if link.file else link


def pinned_environment() -> dict[str, str]:
    """Python and the libraries that made and run the version."""
    environment = {"python": platform.python_version()}
    for name in PINNED:
        environment[name] = importlib.metadata.version(name)
    return environment


def signing_key(project: Project) -> bytes:
    """The system's private key; made at its first use, readable by its owner only.

    `IntegrityError` when only its public half is left, or the two do not fit; `Busy` while another
    process makes it.
    """
    files, private, public = project.files, project.home.signing_key, project.home.public_key
    lock = files.append(private.with_name(".lock"))
    try:
        if not private.exists() and not public.exists():
            files.write(private, new_key())
        key = files.read(private) if private.exists() else b""
        if key and not public.exists():
            files.write(public, public_of(key))
    finally:
        lock.close()
    if not key or files.read(public) != public_of(key):
        raise IntegrityError(
            "the two halves of the signing key do not belong together" if key else "the signing key is missing",
            next=f"put back a copy of {private.name} and {public.name}, which were made together",
            file=str(private),
        )
    return key
