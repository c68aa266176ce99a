"""A served system opened in a data worker: verified versions, their chains, and the decider over them.

Imports nothing heavy: what a worker knows of a system is in one record that somebody else wrote.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from kring.decide.impute import row_imputer
from kring.decide.outliers import scorer_of
from kring.decide.policy import judge_of, row_masks
from kring.decide.prepare_rows import row_preparer
from kring.decide.repair_rows import Mender, row_mender
from kring.errors import IntegrityError, KringError
from kring.flow import adapters
from kring.flow.home import Home
from kring.flow.sealing import is_hidden
from kring.metrics.ids import fresh_id
from kring.ports.clock import Clock
from kring.ports.random import Random
from kring.ports.runtime import Runtime
from kring.ports.sealer import Sealer
from kring.ports.task import Task
from kring.record.background import Background
from kring.record.batch import Batch, Column
from kring.record.prepare import Prepared
from kring.record.rollout import Pointer
from kring.record.serving import Served
from kring.record.version import Chain, Policy
from kring.release.signed import Loaded, open_signed, open_whole_files
from kring.release.terms import told_alone
from kring.runtimes.broken import BrokenRuntime
from kring.runtimes.chain import open_chain
from kring.runtimes.providers import AUTO, CPU, Choice, grapher
from kring.serve.decider import Decider
from kring.serve.exposing import Subject
from kring.serve.fallback import Answerer
from kring.serve.reading import Reader

BASELINE: Final = "/baseline"

Wrap = Callable[[str, Runtime], Runtime]
"""Puts what watches over it round the runtime of a version."""


@dataclass
class Opener:
    """Opens the versions of one system and keeps them: each is verified and loaded once.

    `provider` is what is to compute its graphs, of those `here`; `providers` says by version what does. `doubt` says
    why nobody knows which versions were taken back, if so: then none of them answers. `damaged` is the live version,
    while others answer for it because of that, or because its bytes are not those that were signed.
    """

    served: Served
    task: Task
    wrap: Wrap
    say: Callable[[str], None]
    provider: str = CPU
    here: Sequence[str] = (CPU,)
    doubt: Callable[[], str] = str
    rungs: dict[str, Answerer[Batch]] = field(default_factory=dict)
    providers: dict[str, str] = field(default_factory=dict)
    damaged: str = ""
    _stand_in: Answerer[Batch] | None = None

    def decider(self, pointer: Pointer, *, clock: Clock) -> Decider[Batch]:
        """The decider for `pointer`, without the versions that can't be opened: those below them answer.

        `IntegrityError` when the live version can't be verified, or may have been taken back: whoever has one that
        answers goes on with it.
        """
        if why := self.doubt():
            raise IntegrityError(
                f"version {pointer.live} may have been taken back, and answers nothing",
                got=why,
                next="make the file readable, or remove it and run kring rollback again",
            )
        names = [name for name in dict.fromkeys((pointer.live, pointer.canary, pointer.previous)) if name]
        opened = [name for name in names if self.open(name, needed=name == pointer.live)]
        self.damaged = ""
        rungs = {name: self.rungs[name] for name in opened}
        return self._decider(pointer, rungs, self.rungs[baseline_of(pointer.live)], clock=clock)

    def decider_of_what_is_whole(self, pointer: Pointer, *, clock: Clock) -> Decider[Batch]:
        """As `decider`; in place of a live version that is not to answer do the previous one, its own baseline
        where the baseline's files are what was signed, and the declared default. `IntegrityError` with none of them.
        """
        try:
            return self.decider(pointer, clock=clock)
        except IntegrityError as error:
            live, previous = pointer.live, pointer.previous
            baseline, why = self._baseline_of_damaged(live)
            self._stand_in = baseline
            below = [name for name in dict.fromkeys((pointer.canary, previous)) if name and self.open(name)]
            if baseline is None and previous not in below and self.served.system.frame.default is None:
                raise
            self.say(error.message)
            self.damaged = live
            rungs = {live: broken(live, error), **{name: self.rungs[name] for name in below}}
            return self._decider(pointer, rungs, baseline or broken(baseline_of(live), why), clock=clock)

    def _baseline_of_damaged(self, id: str) -> tuple[Answerer[Batch] | None, KringError]:
        """The baseline of a version of which other files were changed, or why there is none."""
        try:
            loaded, wrong = self._whole_files(id)
        except KringError as error:
            return None, error
        chain = loaded.manifest.baseline
        needed = {name for link in chain.links for name in link.files}
        lost = sorted(name for name in wrong if name in needed or name.startswith("baseline/"))
        why = IntegrityError(f"{', '.join(lost[:3])} was changed after signing or is missing")
        return (None if lost else self._rung(baseline_of(id), chain, loaded)), why

    def _decider(
        self, pointer: Pointer, rungs: Mapping[str, Answerer[Batch]], baseline: Answerer[Batch], *, clock: Clock
    ) -> Decider[Batch]:
        system = self.served.system
        return Decider(
            system=system.name,
            pointer=pointer,
            versions=rungs,
            baseline=baseline,
            read=as_it_is,
            guard=looked_at_already,
            out_of_contract=system.guard.out_of_contract,
            default=system.frame.default,
            subject=system.data.subject,
            monotonic=clock.monotonic,
            impute=row_imputer(self.served.contract),
            timed=bool(told_alone(system)),
        )

    def open(self, id: str, *, needed: bool = False) -> bool:
        """Whether version `id` is open now; what keeps it shut is said, and raised when it is `needed`."""
        if id in self.rungs:
            return True
        try:
            loaded = self._verified(id)
        except KringError as error:
            if needed:
                raise IntegrityError(f"version {id} can't be verified: {error.message}", got=error.got) from error
            self.say(f"version {id} can't be verified and answers nothing: {error.message}")
            return False
        for name, chain in ((id, loaded.manifest.chain), (baseline_of(id), loaded.manifest.baseline)):
            self.rungs[name] = self._rung(name, chain, loaded)
        return True

    def _verified(self, id: str) -> Loaded:
        """The bytes that were looked at when the version was published."""
        return open_signed(self._folder(id), public_pem=self.served.public_key, root=self.served.roots[id])

    def _whole_files(self, id: str) -> tuple[Loaded, frozenset[str]]:
        """Those of them that are as they were, and the names of the others."""
        return open_whole_files(self._folder(id), public_pem=self.served.public_key, root=self.served.roots[id])

    def _folder(self, id: str) -> Path:
        if id not in self.served.roots:
            raise IntegrityError("its contents have not been looked at", next="look at what the control process says")
        return Home(Path(self.served.home)).versions / id

    def shadows(self, ids: Sequence[str]) -> list[Answerer[Batch]]:
        """The versions that are asked beside the live one, without those that can't be opened."""
        return [self.rungs[id] for id in ids if self.open(id)]

    def keep(self, ids: set[str]) -> None:
        """Close all versions but `ids`."""
        for name in [name for name in self.rungs if name.partition("/")[0] not in ids]:
            self.rungs.pop(name).runtime.close()
            self.providers.pop(name, None)
        if self._stand_in is not None and not (self.damaged and ids):
            self._stand_in.runtime.close()
            self._stand_in = None

    def _rung(self, name: str, chain: Chain, loaded: Loaded) -> Answerer[Batch]:
        """The chain, or what says at each question why it can't be opened."""
        types = {one.name: one.type for one in self.served.contract.fields}
        try:
            prepared = prepared_of(chain, loaded.files, name=name)
            kinds = {column.name: column.kind for column in prepared.columns}
            return Answerer(
                version=name,
                prepare=row_preparer(prepared, types=types),
                runtime=self.wrap(name, self._opened(name, chain, loaded, kinds)),
                policy=chain.policy,
                decide=self.task.decide,
                judge=judge_of(
                    chain.policy,
                    row_masks(chain.policy, types=types, kinds=kinds),
                    scorer_of(chain.policy, loaded.files, preparer=lambda whole: row_preparer(whole, types=types)),
                ),
                price=chain.price,
            )
        except KringError as error:
            self.say(f"{name} can't be opened and answers nothing: {error.message}")
            return broken(name, error)

    def _opened(self, name: str, chain: Chain, loaded: Loaded, kinds: Mapping[str, str]) -> Runtime:
        """The chain, with its graph on what computes it best."""

        def told(choice: Choice) -> None:
            self.providers[name] = choice.provider
            if len(self.here) > 1 or choice.provider != self.provider != AUTO:
                self.say(f"{name} is computed by {choice.provider}: {choice.why}")

        rows = background_in(loaded.files, folder="baseline/" if name.endswith(BASELINE) else "")
        graph = grapher(self.provider, background=rows, kinds=kinds, here=self.here, told=told)
        return open_chain(chain, loaded.files, open_index=adapters.open_index, open_graph=graph, patience_s=0.0)


def broken(name: str, error: KringError) -> Answerer[Batch]:
    """What says at each question why it can't be opened, and so never decides."""
    return Answerer(
        version=name,
        prepare=as_it_is,
        runtime=BrokenRuntime(error),
        policy=Policy(output="value"),
        decide=undecided_by,
    )


def undecided_by(outputs: Batch, policy: Policy) -> Batch:
    """No decision on what there is not."""
    del policy
    return outputs


def background_in(files: Mapping[str, bytes], *, folder: str) -> Background | None:
    """The rows that a version carries to be explained against, if it does and they can be read."""
    try:
        return msgspec.json.decode(files[f"{folder}background.json"], type=Background)
    except (KeyError, msgspec.MsgspecError):
        return None


def reader_of(served: Served, *, clock: Clock, random: Random) -> Reader:
    """Reads the rows of requests: a time that is left out is now, a key that is left out a fresh one."""
    fields = [one for one in served.contract.fields if one.name not in served.known_later]
    made: dict[str, Callable[[], object]] = {}
    for one in fields:
        if one.primary_key and one.type == "string":
            made[one.name] = lambda: fresh_id("q", at=clock.now(), entropy=random.bytes(10))
    if served.system.data.time:
        made[served.system.data.time] = lambda: datetime.fromtimestamp(clock.now() / 1e6, tz=UTC)
    out_of_contract = served.system.guard.out_of_contract
    return Reader(served.contract, fields=fields, out_of_contract=out_of_contract, made=made, mend=mender_of(served))


def mender_of(served: Served) -> Mender | None:
    """What repairs the rows of requests, if the recipe says anything of one row."""
    fields = [one for one in served.contract.fields if one.name not in served.known_later]
    return row_mender(served.repairs, fields=fields, subject=served.system.data.subject)


def hider(served: Served, *, random: Random) -> tuple[Callable[[Batch], Batch], Callable[[], None]]:
    """What puts tokens in place of direct identifiers, and what closes it."""
    names = [one.name for one in served.contract.fields if one.identifier and one.name not in served.known_later]
    if not names:
        return as_it_is, lambda: None
    vault = adapters.open_vault(Home(Path(served.home)).vault, random=random)

    def hide(batch: Batch) -> Batch:
        columns = dict(batch.columns)
        for name in names:
            known = [str(value) for value in columns[name] if value is not None]
            tokens = iter(vault.tokens(known))
            columns[name] = [None if value is None else next(tokens) for value in columns[name]]
        return Batch(batch.n, columns)

    return hide, vault.close


def subject_of(
    served: Served, hide: Callable[[Batch], Batch], *, sealer: Sealer | None
) -> Callable[[str], Subject] | None:
    """What writes a subject as its decisions do, which may take a durable write: a token when it is a direct
    identifier; where only the log puts a token, the router draws by the name itself. None where neither is so."""
    subject = served.system.data.subject
    names = [one.name for one in served.contract.fields if one.identifier and one.name not in served.known_later]
    if subject in names:

        def identified(text: str) -> Subject:
            columns: dict[str, Column] = {name: [text if name == subject else None] for name in names}
            token = str(hide(Batch(1, columns)).columns[subject][0])
            return Subject(token, token)

        return identified
    if sealer is None or not is_hidden(served.contract, subject):
        return None
    return lambda text: Subject(text, sealer.tokens([text])[0])


def prepared_of(chain: Chain, files: Mapping[str, bytes], *, name: str) -> Prepared:
    """The first link of a chain."""
    file = chain.links[0].file
    try:
        return msgspec.json.decode(files[file], type=Prepared)
    except msgspec.MsgspecError as error:
        raise IntegrityError(f"{file} of {name} is not a prepare link", got=str(error)) from error


def baseline_of(version: str) -> str:
    """What a version's own baseline is called in records."""
    return f"{version}{BASELINE}"


def as_it_is(rows: Batch) -> Batch:
    """Rows that were read already."""
    return rows


def looked_at_already(rows: Batch) -> dict[int, list[str]]:
    """The guard of rows whose reader has looked at them."""
    del rows
    return {}
