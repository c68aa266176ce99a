"""Personal values in the decision log: AES-256-GCM with a key per subject, and the log that seals what it is given.

The nonce is the beginning of HMAC-SHA256 over column and value, by a second key of the subject (a synthetic nonce, as
in RFC 5297): nothing is drawn at random, so a replay writes the same bytes, and one nonce never meets two values.
"""

from __future__ import annotations

import hmac
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec
import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC

from kring.metrics.packing import packed, values_of
from kring.ports.decision_log import DecisionLog, Logged
from kring.ports.sealer import ERASED, Sealer
from kring.ports.vault import Vault
from kring.record.decision import Closed, Decisions, Outcomes, Packed, PackedDecisions, Place, Value
from kring.record.event import Segment
from kring.record.exposure import Exposure

NONCE_BYTES: Final = 12
MOST_KEYS: Final = 8192
"""Subjects whose keys are kept ready: 3 KB each."""

_encode = msgspec.msgpack.Encoder().encode
_decode: Final[Callable[[bytes], Value]] = msgspec.msgpack.Decoder(Value).decode


class Keys(NamedTuple):
    """What belongs to one subject: the cipher, and what makes the nonces, which is copied for each."""

    cipher: AESGCM
    nonces: HMAC


class KeyedSealer:
    """Fulfils `kring.ports.sealer.Sealer` with the keys of a vault, some of which it keeps in memory."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._known: dict[str, Keys] = {}

    def seal(self, columns: Mapping[str, Sequence[Value]], subjects: Sequence[str]) -> dict[str, list[Value]]:
        known = self._learn(subjects, make=True)
        keys = [known[subject] for subject in subjects]
        return {name: _sealed(name.encode(), column, keys) for name, column in columns.items()}

    def unseal(self, columns: Mapping[str, Sequence[Value]], subjects: Sequence[str]) -> dict[str, list[Value]]:
        known = self._learn(subjects, make=False)
        keys = [known.get(subject) for subject in subjects]
        return {
            name: [_opened(name.encode(), value, key) for value, key in zip(column, keys, strict=True)]
            for name, column in columns.items()
        }

    def tokens(self, subjects: Sequence[str]) -> list[str]:
        return self._vault.tokens(subjects)

    def forget_all(self) -> None:
        """Another thread may be sealing: it ends what it began with the keys that it has."""
        self._known = {}

    def close(self) -> None:
        self._known = {}
        self._vault.close()

    def _learn(self, subjects: Sequence[str], *, make: bool) -> dict[str, Keys]:
        """The keys that are known now, those of `subjects` among them as far as there are any."""
        known = self._known
        new = [subject for subject in dict.fromkeys(subjects) if subject not in known]
        if not new:
            return known
        if len(known) + len(new) > MOST_KEYS:
            known = self._known = {}
            new = list(dict.fromkeys(subjects))
        for subject, key in zip(new, self._vault.keys(new, make=make), strict=True):
            if key is not None:
                cipher, nonces = (hmac.digest(key, use, "sha256") for use in (b"kring seal", b"kring nonce"))
                known[subject] = Keys(AESGCM(cipher), HMAC(nonces, SHA256()))
        return known


class SealingLog:
    """Fulfils `kring.ports.decision_log.DecisionLog`: decisions are sealed before they are appended. Whoever tells of
    exposures has looked up their subjects before, since the vault may be slow.

    `fields` are the columns of inputs to seal. Where records name no subjects, the input `key_by` says whose row it is;
    without one a key of the whole system seals, which nobody's erasure destroys. With `hide` the subject itself is
    personal: a token stands for it.
    """

    def __init__(self, inner: DecisionLog, sealer: Sealer, *, fields: Sequence[str], key_by: str, hide: bool) -> None:
        self._inner = inner
        self._sealer = sealer
        self._fields = fields
        self._key_by = key_by
        self._hide = hide

    @property
    def writer(self) -> int:
        return self._inner.writer

    def append(self, record: Decisions | PackedDecisions | Outcomes | Closed | Exposure) -> Place:
        if isinstance(record, Decisions) and record.inputs:
            record = self._plain(record)
        elif isinstance(record, PackedDecisions):
            record = self._packed(record)
        return self._inner.append(record)

    def commit(self) -> None:
        self._inner.commit()

    def read(self, after: tuple[int, int] = (0, 0)) -> Iterator[Logged]:
        return self._inner.read(after)

    def find(self, id: str) -> tuple[Decisions, int]:
        return self._inner.find(id)

    def cursor(self, since: int | None = None) -> tuple[int, int]:
        return self._inner.cursor(since)

    def seal(self) -> list[Segment]:
        return self._inner.seal()

    def close(self) -> None:
        try:
            self._inner.close()
        finally:
            self._sealer.close()

    def _plain(self, record: Decisions) -> Decisions:
        inputs, subjects = dict(record.inputs), record.subjects
        if self._key_by in inputs:
            subjects = [str(value) for value in inputs[self._key_by]]
            if self._hide:
                inputs[self._key_by] = subjects = [*self._sealer.tokens(subjects)]  # type: ignore[assignment]
        mine = [name for name in self._fields if name in inputs]
        inputs |= self._sealer.seal({name: inputs[name] for name in mine}, subjects or [""] * record.n)
        return msgspec.structs.replace(record, inputs=inputs, subjects=list(subjects), sealed=mine)

    def _packed(self, record: PackedDecisions) -> PackedDecisions:
        inputs, subjects = dict(record.inputs), [""] * record.n
        if self._key_by in inputs:
            subjects = [str(value) for value in values_of(inputs[self._key_by])]
            if self._hide:
                subjects = self._sealer.tokens(subjects)
                inputs[self._key_by] = _texts([*subjects])
        mine = [name for name in self._fields if name in inputs]
        sealed = self._sealer.seal({name: values_of(inputs[name]) for name in mine}, subjects)
        inputs |= {name: _texts(column) for name, column in sealed.items()}
        subject = self._key_by if self._key_by in inputs else record.subject
        return msgspec.structs.replace(record, inputs=inputs, subject=subject, sealed=mine)


def unsealed(record: Decisions, sealer: Sealer) -> Decisions:
    """The record as it was before it was sealed, as far as the keys are still there."""
    if not record.sealed:
        return record
    columns = {name: record.inputs[name] for name in record.sealed}
    opened = sealer.unseal(columns, record.subjects or [""] * record.n)
    return msgspec.structs.replace(record, inputs={**record.inputs, **opened}, sealed=[])


def _texts(values: Sequence[Value]) -> Packed:
    words = list(dict.fromkeys(str(value) for value in values if value is not None)) or [""]
    places = {word: place for place, word in enumerate(words)}
    known = np.array([value is not None for value in values], dtype=np.bool_)
    return packed(np.array([places.get(str(value), 0) for value in values]), known=known, words=words)


def _sealed(name: bytes, column: Sequence[Value], keys: Sequence[Keys]) -> list[Value]:
    sealed: list[Value] = []
    for value, key in zip(column, keys, strict=True):
        if value is None:
            sealed.append(None)
            continue
        text = _encode(value)
        code = key.nonces.copy()
        code.update(name + b"\0" + text)
        nonce = code.finalize()[:NONCE_BYTES]
        sealed.append(b64encode(nonce + key.cipher.encrypt(nonce, text, name)).decode())
    return sealed


def _opened(name: bytes, value: Value, key: Keys | None) -> Value:
    if value is None:
        return None
    if key is None or not isinstance(value, str):
        return ERASED
    try:
        data = b64decode(value, validate=True)
        text = key.cipher.decrypt(data[:NONCE_BYTES], data[NONCE_BYTES:], name)
        value = _decode(text)
    except (InvalidTag, ValueError, msgspec.MsgspecError):
        return ERASED
    return value
