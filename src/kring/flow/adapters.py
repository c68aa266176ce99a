"""Adapters by name. The one module that imports inside functions: an adapter is loaded when needed."""

from __future__ import annotations

import difflib
import importlib
import itertools
import pkgutil
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, Literal, cast

import kring.tasks
from kring.errors import MissingExtra, Unsupported, UserError
from kring.ports.clock import Clock
from kring.ports.files import Files
from kring.ports.random import Random
from kring.ports.task import Task
from kring.ports.tuner import Tuner
from kring.record.access import AccessList
from kring.record.passage import Passage, Ranking
from kring.record.system import Candidate
from kring.record.tuning import Range
from kring.record.version import Output

if TYPE_CHECKING:
    from kring.access.guard import Tokens
    from kring.explain.row import Explainer
    from kring.ports.claims import Claims
    from kring.ports.decision_log import DecisionHistory, DecisionLog
    from kring.ports.framework import Framework
    from kring.ports.index import Index
    from kring.ports.ledger import Ledger
    from kring.ports.notifier import Notifier
    from kring.ports.sealer import Sealer
    from kring.ports.sink import Sink
    from kring.ports.spans import Spans
    from kring.ports.trials import Trials
    from kring.ports.vault import Vault
    from kring.record.decision import Decisions
    from kring.record.event import Segment
    from kring.record.running import Notify

SINKS: Final = {".csv": "kring.sinks.csv_text", ".parquet": "kring.sinks.parquet", ".xlsx": "kring.sinks.xlsx"}
"""Formats of files of answers, by the end of their names."""

BESIDE: Final = 256
"""From this number on write processes that answer no requests; below it data workers, of which there are at most so
many. So nobody keeps the number of a worker that died from those who look after the idempotency keys it left."""

BOOSTED: Final = ("lightgbm", "xgboost")
"""Built-ins of the extra `boosting`, and the packages their estimators come from."""


def task_names() -> list[str]:
    return sorted(module.name for module in pkgutil.iter_modules(kring.tasks.__path__))


def task_giving(output: Output) -> str:
    """The name of the task whose chains give `output`. `Unsupported` when none does."""
    name = next((name for name in task_names() if task_named(name).output == output), "")
    if not name:
        raise Unsupported(f"nothing here answers with {output} yet", next="name another target")
    return name


def task_named(name: str) -> Task:
    """The task `kring.toml` names."""
    known = task_names()
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        raise UserError(
            "there is no such task",
            key="system.task",
            got=repr(name),
            allowed=", ".join(known),
            next=f"did you mean {near[0]!r}?" if near else "",
        )
    return cast(Task, importlib.import_module(f"kring.tasks.{name}").TASK)


def open_ledger(path: Path, *, system: str) -> Ledger:
    from kring.stores import sqlite

    return sqlite.open_ledger(path, system=system)


def open_log(folder: Path, *, files: Files, system: str) -> DecisionLog:
    """The log's first writer, for a process that is alone; `Busy` when it is not."""
    from kring.stores import file

    return file.open_log(folder, files=files, system=system)


def free_writer(
    folder: Path, *, files: Files, system: str, durability: Literal["sync", "async"] = "sync", first: int = 0
) -> DecisionLog:
    """A writer of the log that nobody else has open, with a number from `first` on."""
    from kring.stores import file, lazy

    kind = lazy.LazyLog if durability == "async" else file.FileLog
    return file.free_writer(folder, files=files, system=system, kind=kind, first=first)


def seal_left(folder: Path, *, files: Files, system: str, before: int) -> list[Segment]:
    """Seal what writers left open that nobody has written with since the moment (microseconds UTC)."""
    from kring.stores import file

    return file.seal_left(folder, files=files, system=system, before=before)


def read_log(folder: Path, *, system: str) -> DecisionHistory:
    """The log of all writers, for reading only: needs no lock, changes nothing."""
    from kring.stores import reading

    return reading.read_log(folder, system=system)


def open_claims(path: Path) -> Claims:
    """The idempotency keys of a serving machine."""
    from kring.stores import claims

    return claims.open_claims(path)


def open_trials(path: Path) -> Trials:
    """Who was shown which arm of a trial, and what they did."""
    from kring.stores import trials

    return trials.open_trials(path)


def newest_segments(folder: Path) -> dict[int, tuple[int, int]]:
    """By writer the beginning of the newest segment of a log, or of the one before it."""
    from kring.stores import reading

    numbers = {writer: reading.segment_numbers(folder, writer) for writer in reading.writers_in(folder)}
    return {writer: (found[-2:][0], 0) for writer, found in numbers.items() if found}


def newest_decisions(folder: Path) -> Iterator[Iterator[Decisions]]:
    """See `kring.stores.newest`."""
    from kring.stores import newest

    return newest.newest_decisions(folder)


def sealed_segments(folder: Path) -> list[Segment]:
    """Every segment of a log that its writer has sealed."""
    from kring.stores import sealed

    return sealed.sealed_segments(folder)


def adopt_claims(path: Path, *, folder: Path, files: Files, system: str, now: int) -> int:
    """Settle or release the claims that dead writers of the log in `folder` left behind; how many."""
    from kring.stores import claims

    store = claims.open_claims(path)
    try:
        return claims.adopt(store, folder=folder, files=files, system=system, now=now)
    finally:
        store.close()


def verify_segment(folder: Path, segment: Segment) -> None:
    """`IntegrityError` unless the sealed segment lies in `folder` as the ledger says."""
    from kring.stores import sealed

    sealed.verify_segment(folder, segment)


def put_segment(folder: Path, *, log: Path, segment: Segment, system: str, files: Files) -> tuple[int, int]:
    """A sealed segment of the log into the tables in `folder`: how many decisions and outcomes."""
    from kring.stores import compacted, reading

    reader = reading.read_writer(log, system=system, writer=segment.writer)
    frames = itertools.takewhile(
        lambda logged: logged.place.segment == segment.number, reader.read(after=(segment.number, 0))
    )
    return compacted.put_segment(folder, id=segment.id, frames=frames, files=files)


def drop_segment(folder: Path, *, id: str) -> None:
    """A segment out of the tables in `folder`."""
    from kring.stores import compacted

    compacted.drop_segment(folder, id=id)


def open_vault(path: Path, *, random: Random) -> Vault:
    from kring.stores import vault

    return vault.open_vault(path, random=random)


def open_sealer(vault: Path, *, random: Random) -> Sealer:
    """Seals with the keys of the vault at that path."""
    from kring.stores import sealing

    return sealing.KeyedSealer(open_vault(vault, random=random))


def sealing_log(log: DecisionLog, sealer: Sealer, *, fields: Sequence[str], key_by: str, hide: bool) -> DecisionLog:
    """The log that seals what is appended to it."""
    from kring.stores import sealing

    return sealing.SealingLog(log, sealer, fields=fields, key_by=key_by, hide=hide)


def unsealed(record: Decisions, sealer: Sealer) -> Decisions:
    """The record as it was before it was sealed, as far as there are keys."""
    from kring.stores import sealing

    return sealing.unsealed(record, sealer)


def build_index(passages: Sequence[Passage], *, documents: Mapping[str, str], ranking: Ranking) -> bytes:
    """The bytes of an index over `passages`."""
    from kring.indexes import sqlite

    return sqlite.build_index(passages, documents=documents, ranking=ranking)


def open_index(data: bytes) -> Index:
    """The index in bytes whose digest was checked."""
    from kring.indexes import sqlite

    return sqlite.open_index(data)


def sink_of(path: Path) -> Sink:
    """The format that the end of the name says; `UserError` for any other."""
    ending = path.suffix.lower()
    if ending not in SINKS:
        raise UserError(
            "answers can't be written in this format",
            got=path.suffix or path.name,
            allowed=", ".join(SINKS),
            next="choose another ending for --out",
        )
    return cast("Sink", importlib.import_module(SINKS[ending]).SINK)


def open_notifier(target: Notify, *, environ: Mapping[str, str], clock: Clock) -> Notifier:
    """Who is told by this name. `UserError` when the environment does not hold the secret it needs."""
    secret = environ.get(target.secret, "") if target.secret else ""
    if target.secret and not secret:
        raise UserError(
            f"the secret of the target {target.name} is not there",
            got=f"no environment variable {target.secret}",
            next=f"set {target.secret} where the operator runs",
            key="notify.secret",
        )
    module = importlib.import_module(f"kring.notifiers.{target.to}")
    return cast("Notifier", module.open_notifier(target, secret=secret, clock=clock))


def framework(builtin: str = "") -> Framework:
    """The library that brings `builtin`; scikit-learn for a user's own function. `MissingExtra` without it."""
    if builtin in BOOSTED:
        return _boosting(f'builtin = "{builtin}"', key="candidate.builtin")
    from kring.frameworks import sklearn

    return cast("Framework", sklearn)


def framework_of(estimator: object) -> Framework:
    """The library that can fit and export `estimator` with all the parts it is made of."""
    parts: dict[str, object] = getattr(estimator, "get_params", dict)()
    kinds = {type(part).__module__.partition(".")[0] for part in (estimator, *parts.values())}
    return _boosting("this estimator", key="candidate.fit") if kinds & set(BOOSTED) else framework()


def _boosting(purpose: str, *, key: str) -> Framework:
    return cast("Framework", _with_extra("kring.frameworks.boosting", extra="boosting", purpose=purpose, key=key))


def smaller(model: bytes, precision: Literal["int8", "fp16"]) -> bytes:
    """An exported graph with its matrices kept in `precision`; `CandidateError` when that gains nothing."""
    from kring.frameworks import smaller as variants

    return variants.smaller(model, precision)


def open_tuner(ranges: Sequence[Range], *, seed: int) -> Tuner:
    """A search over `ranges`; `MissingExtra` without Optuna."""
    purpose, key = "a search for params", "candidate.tune"
    return cast(
        "Tuner",
        _with_extra("kring.tuners.optuna", extra="tune", purpose=purpose, key=key).open_tuner(ranges, seed=seed),
    )


def lime() -> Explainer:
    """LIME as an explainer; `MissingExtra` without its package."""
    module = _with_extra("kring.explain.lime", extra="explain", purpose="method lime", key="")
    return cast("Explainer", module.by_lime)


def token_readers(access: AccessList) -> Mapping[str, Tokens]:
    """By system what reads the tokens of its issuer; where nobody takes tokens, nothing is loaded for it."""
    if not access.token_keys:
        return {}
    from kring.access import tokens

    return tokens.token_readers(access)


def require_signers(jwks: bytes) -> None:
    """The error of `kring.access.tokens.signers` for what is no set of public keys."""
    from kring.access import tokens

    tokens.signers(jwks)


def grpc_server() -> Callable[..., Awaitable[Any]]:
    """What serves the Open Inference Protocol over gRPC; `MissingExtra` without its package."""
    module = _with_extra("kring.api.open_inference_grpc", extra="grpc", purpose="--grpc-port", key="")
    return cast("Callable[..., Awaitable[Any]]", module.serve_grpc)


def require_provider(name: str) -> None:
    """`UserError` for what can't compute graphs on this machine."""
    if name not in ("auto", "cpu"):
        from kring.runtimes import providers

        providers.require_provider(name, here=providers.available())


def require_spans(environ: Mapping[str, str], *, purpose: str) -> None:
    """`MissingExtra` without OpenTelemetry's packages, `UserError` when the environment chooses traces as can't be."""
    _with_extra("kring.telemetry.otel", extra="otel", purpose=purpose, key="")
    from kring.telemetry import sampling

    sampling.sampling_of(environ)


def open_spans(
    endpoint: str,
    *,
    environ: Mapping[str, str],
    service: str,
    part: str,
    clock: Clock,
    random: Random,
    say: Callable[[str], None],
) -> Spans:
    """Spans for the collector whose traces are at `endpoint`."""
    from kring.telemetry import otel, sampling

    chosen = sampling.sampling_of(environ)
    return otel.open_spans(endpoint, service=service, part=part, sampling=chosen, clock=clock, random=random, say=say)


def require_extras(candidates: Iterable[Candidate]) -> None:
    """`MissingExtra` before any work when one of `candidates` needs a package that is not installed."""
    for candidate in candidates:
        framework(candidate.builtin)
        if candidate.tune:
            open_tuner((), seed=0)


def _with_extra(module: str, *, extra: str, purpose: str, key: str) -> ModuleType:
    """The adapter `module`; `MissingExtra` with the line that installs its packages."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise MissingExtra(error.name or extra, extra=extra, purpose=purpose, key=key) from error
