"""The gatekeeper that each worker holds: who asks, may they, is it too much.

It knows what it was last told and remembers no answer: a key that is gone from the table is gone at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final, Protocol

from kring.access.hosts import Headers
from kring.access.keys import PREFIX, KeyTable
from kring.access.limits import Buckets, Counter, share
from kring.access.roles import require
from kring.errors import KringError, TooMuch, Unauthenticated, Unavailable
from kring.record.access import AccessPolicy, Action, ApiKey, Principal, Rate

FAILURES: Final = 20
"""Wrong keys and tokens that an address may show at once on one machine, …"""

FAILURES_PER_SECOND: Final = 0.2
"""… and how many more each second."""

LONGEST: Final = 10_000

Address = Callable[[], str]
"""Tells where a request comes from, as far as it is known: only wrong keys and tokens are counted by it."""


def nowhere() -> str:
    """Nothing is known of where a request comes from."""
    return ""


class Tokens(Protocol):
    """Reads the tokens of one system's issuer."""

    def principal(self, token: str, *, now: int) -> Principal:
        """Whom it speaks of; `Unauthenticated` when it is not believed."""
        ...


class Limits:
    """One worker's share of what a system allows each key, and all together."""

    __slots__ = ("at_once", "counts", "rates", "spends")

    def __init__(self, policy: AccessPolicy, *, workers: int, worker: int) -> None:
        both = (policy.per_key, policy.per_system)
        self.rates = tuple(_buckets(rate, workers=workers) for rate in both)
        self.at_once = tuple(_counter(rate, workers=workers, worker=worker) for rate in both)
        self.spends = any(buckets is not None for buckets in self.rates)
        self.counts = any(counter is not None for counter in self.at_once)


class Gatekeeper:
    """Worker number `worker` (from 0) of `workers` on a machine. `dev_keys` says whether development keys are taken:
    only where nobody comes in from other machines. `counting` are the systems that limit how many requests are under
    way."""

    def __init__(self, *, dev_keys: bool, workers: int = 1, worker: int = 0) -> None:
        self._dev = dev_keys
        self._workers = workers
        self._worker = worker
        self._keys = KeyTable((), dev=dev_keys)
        self._tokens: Mapping[str, Tokens] = {}
        self._limits: dict[str, Limits] = {}
        self._policies: dict[str, AccessPolicy] = {}
        self.counting: frozenset[str] = frozenset()
        self._failures = Buckets(per_second=FAILURES_PER_SECOND / workers, capacity=FAILURES / workers)

    def replace(
        self,
        *,
        keys: Iterable[ApiKey] | None = None,
        policies: Mapping[str, AccessPolicy] | None = None,
        tokens: Mapping[str, Tokens] | None = None,
    ) -> None:
        """Take what is given for what was known, from the next request on. Counts go on where a policy stays."""
        if keys is not None:
            self._keys = KeyTable(keys, dev=self._dev)
        if tokens is not None:
            self._tokens = dict(tokens)
        if policies is not None:
            self._limits = {
                system: self._limits[system]
                if self._policies.get(system) == policy
                else Limits(policy, workers=self._workers, worker=self._worker)
                for system, policy in policies.items()
            }
            self._policies = dict(policies)
            self.counting = frozenset(system for system, limits in self._limits.items() if limits.counts)

    def admit(
        self, headers: Headers, *, action: Action, system: str, now: int, tick: float, address: Address = nowhere
    ) -> Principal:
        """Who asks, when they may do `action` in `system` and do not ask too often.

        `headers` answers `.get(name in lower case)`; `now` is wall time in microseconds, `tick` monotonic seconds;
        `address` tells the client's when it is asked for. `Unauthenticated`, `Forbidden`, or `TooMuch` with the seconds
        to wait.
        """
        principal = self.authenticate(headers, system=system, now=now, tick=tick, address=address)
        self.allow(principal, action=action, system=system, tick=tick)
        return principal

    def allow(self, principal: Principal, *, action: Action, system: str, tick: float) -> None:
        """`Forbidden` unless `principal`, who is known, may do `action` in `system`; `TooMuch` if too often."""
        require(principal, action, system=system)
        limits = self._limits.get(system)
        if limits is not None and limits.spends:
            self._spend(limits, principal, tick)

    def authenticate(
        self, headers: Headers, *, system: str = "", now: int, tick: float, address: Address = nowhere
    ) -> Principal:
        """Who asks, with the roles of `system`, or of all systems without one; whatever they may do.

        Wrong keys and tokens of one `address` are slowed down, right ones never: a neighbour behind the same
        address is not locked out.
        """
        credential = _credential(headers)
        try:
            if credential.startswith(PREFIX):
                return self._keys.holder(credential, now=now)
            return self._bearer(credential, system=system, now=now)
        except Unauthenticated:
            wait = self._failures.take(address(), tick=tick)
            if wait:
                raise TooMuch(
                    "too many wrong keys and tokens come from this address",
                    allowed=f"{FAILURES} at once, then one in {1 / FAILURES_PER_SECOND:.0f} s",
                    next="wait, and see which program still uses an old key",
                    after_s=math.ceil(wait),
                ) from None
            raise

    def holder_of(self, key: str, *, now: int) -> Principal:
        """Who holds the key with that id: for sessions, which remember that it was shown."""
        return self._keys.holder_of(key, now=now)

    @contextmanager
    def inside(self, principal: Principal, *, system: str) -> Iterator[None]:
        """Count a request of `principal` as under way for as long as the block runs; `TooMuch` beyond the limit."""
        limits = self._limits.get(system)
        entered: list[tuple[Counter, str]] = []
        try:
            for counter, name in zip(limits.at_once if limits else (), (principal.who, ""), strict=False):
                if counter is not None and not counter.enter(name):
                    raise _too_many(counter, name)
                if counter is not None:
                    entered.append((counter, name))
            yield
        finally:
            for counter, name in entered:
                counter.leave(name)

    def _bearer(self, token: str, *, system: str, now: int) -> Principal:
        """Whom a token speaks of, in one system or in all that believe it."""
        readers = [self._tokens[system]] if system in self._tokens else [] if system else list(self._tokens.values())
        refusal: KringError = Unauthenticated(
            "this is not an API key, and no tokens are taken here",
            got="something that does not begin with kring_",
            allowed="an API key, as it was shown when it was made",
            next="kring key create makes one; [access] in kring.toml says whose tokens are believed",
        )
        found: list[Principal] = []
        for reader in readers:
            try:
                found.append(reader.principal(token, now=now))
            except (Unauthenticated, Unavailable) as error:
                refusal = refusal if isinstance(refusal, Unavailable) else error
        if not found:
            raise refusal
        roles = {name: held for principal in found for name, held in principal.roles.items()}
        return Principal(name=found[0].name, roles=roles, expires=min(one.expires for one in found))

    @staticmethod
    def _spend(limits: Limits, principal: Principal, tick: float) -> None:
        for buckets, name in zip(limits.rates, (principal.who, ""), strict=True):
            wait = buckets.take(name, tick=tick) if buckets is not None else 0.0
            if buckets is not None and wait:
                raise TooMuch(
                    f"too many requests {'with this key' if name else 'to this system'}",
                    allowed=f"{buckets.per_second:g} a second on each worker",
                    next=f"ask again in {math.ceil(wait)} s",
                    after_s=math.ceil(wait),
                )


def _credential(headers: Headers) -> str:
    """The one key or token that a request shows."""
    bearer, key = headers.get("authorization"), headers.get("x-api-key")
    shown = key
    if bearer is not None:
        scheme, _, text = bearer.partition(" ")
        if scheme.lower() != "bearer":
            raise _unshown("an Authorization header of another kind")
        shown = text.strip()
        if key is not None and key != shown:
            raise _unshown("two different ones, in Authorization and in X-API-Key")
    if not shown:
        raise _unshown("none")
    if len(shown) > LONGEST:
        raise _unshown(f"a text of more than {LONGEST:,} characters")
    return shown


def _unshown(got: str) -> Unauthenticated:
    return Unauthenticated(
        "a request shows an API key or a token",
        got=got,
        allowed="Authorization: Bearer KEY, or X-API-Key: KEY",
        next="kring key create makes a key",
    )


def _buckets(rate: Rate, *, workers: int) -> Buckets | None:
    if not rate.per_second:
        return None
    return Buckets(per_second=rate.per_second / workers, capacity=rate.per_second / workers)


def _counter(rate: Rate, *, workers: int, worker: int) -> Counter | None:
    return Counter(most=share(rate.at_once, workers=workers, worker=worker)) if rate.at_once else None


def _too_many(counter: Counter, name: str) -> TooMuch:
    return TooMuch(
        f"too many requests at the same time {'with this key' if name else 'to this system'}",
        allowed=f"{counter.most} at a time on each worker",
        next="wait for an answer before asking again",
        after_s=1,
    )
