"""API keys: what is made is accepted, anything else is not, and nothing tells the secret or which ids there are."""

from __future__ import annotations

import logging
import zlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kring.access import keys
from kring.access.keys import ABSENT, EXAMPLE, KeyTable, digest, make_key, parse, require_strong, written
from kring.errors import Refused, Unauthenticated
from kring.host.random import SeededRandom, SystemRandom
from kring.record.access import ApiKey, Env

SECOND = 1_000_000


class Fixed:
    """The same byte again and again."""

    def __init__(self, byte: int) -> None:
        self.byte = byte

    def bytes(self, n: int) -> bytes:
        return bytes([self.byte]) * n


def made(seed: int = 1, *, env: Env = "live", expires: int = 0) -> tuple[ApiKey, str]:
    return make_key(
        SeededRandom(seed),
        env=env,
        role="caller",
        systems=("tills",),
        label="till 4",
        owner="Ann",
        created=SECOND,
        expires=expires,
    )


def refusal(table: KeyTable, text: str, *, now: int = 2 * SECOND) -> Unauthenticated:
    with pytest.raises(Unauthenticated) as caught:
        table.holder(text, now=now)
    return caught.value


@given(seed=st.integers(), env=st.sampled_from(["live", "dev"]))
def test_what_is_made_is_accepted(seed: int, env: Env) -> None:
    key, text = made(seed, env=env)
    shown = parse(text)
    assert (shown.env, shown.id) == (env, key.id)
    assert text.startswith(f"kring_{env}_{key.id}_")
    assert text.endswith(f"{zlib.crc32(text[:-8].encode()):08x}")
    principal = KeyTable([key], dev=True).holder(text, now=2 * SECOND)
    assert principal.roles == {"tills": ("caller",)}
    assert (principal.name, principal.key) == ("till 4", key.id)


def test_a_secret_has_160_random_bits_and_no_two_are_alike() -> None:
    assert keys.SECRET_BYTES * 8 >= 160
    texts = {make_key(SystemRandom(), env="live", role="viewer", systems=("s",), label="x", owner="x", created=0)[1]
             for _ in range(200)}  # fmt: skip
    assert len(texts) == 200
    assert len({parse(text).secret for text in texts}) == 200
    assert len({parse(text).id for text in texts}) == 200


@given(seed=st.integers(0, 50), at=st.integers(0, 66), sign=st.characters())
def test_one_wrong_sign_is_no_key(seed: int, at: int, sign: str) -> None:
    _, text = made(seed)
    changed = text[:at] + sign + text[at + 1 :]
    if changed != text:
        with pytest.raises(Unauthenticated):
            parse(changed)


@given(st.text(max_size=200))
def test_texts_are_no_keys(text: str) -> None:
    with pytest.raises(Unauthenticated):
        parse(text)
    with pytest.raises(Unauthenticated):
        parse(f"kring_live_{text}")


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "",
        lambda text: text.upper(),
        lambda text: text + "\n",
        lambda text: " " + text,
        lambda text: text[:-1],
        lambda text: text + text,
        lambda text: text.replace("kring_", "stripe_"),
        lambda text: text.replace("_live_", "_root_"),
        lambda text: text.replace("_", "__"),
        lambda text: text.replace("_live_", "_dev_"),
        lambda text: "kring_live_' OR 1=1 --_" + text[28:],
        lambda text: "kring_live_../../../../etc_" + text[28:],
        lambda text: text[:28] + "é" * 40,
        lambda text: text + "0" * 10_000_000,
    ],
)
def test_prefix_form_and_checksum_come_before_any_look_up(change, monkeypatch: pytest.MonkeyPatch) -> None:
    key, text = made()
    table = KeyTable([key], dev=True)

    def looked(*given: object) -> bool:
        raise AssertionError("it was looked up")

    monkeypatch.setattr(keys.hmac, "compare_digest", looked)
    error = refusal(table, change(text))
    assert "not an API key" in error.message


def test_secrets_are_compared_in_constant_time_whether_there_is_such_an_id_or_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    key, text = made(1)
    shown, (_, other) = parse(text), made(2)
    seen: list[tuple[bytes, bytes]] = []

    def compared(left: bytes, right: bytes) -> bool:
        seen.append((left, right))
        return left == right

    monkeypatch.setattr(keys.hmac, "compare_digest", compared)
    table = KeyTable([key], dev=True)
    wrong = written("live", id=key.id, secret=parse(other).secret)
    unknown = written("live", id=parse(other).id, secret=shown.secret)
    told = [refusal(table, one) for one in (wrong, unknown)]
    assert str(told[0]) == str(told[1])
    assert [right for _, right in seen] == [bytes.fromhex(key.digest), ABSENT]
    assert all(len(left) == 32 for left, _ in seen)
    table.holder(text, now=0)
    assert len(seen) == 3


def test_a_key_of_the_other_kind_with_the_same_secret_is_none() -> None:
    key, text = made(env="dev")
    shown = parse(text)
    refusal(KeyTable([key], dev=True), written("live", id=shown.id, secret=shown.secret))


@given(expires=st.integers(1, 10**9), now=st.integers(0, 10**9))
def test_a_key_ends_when_it_expires(expires: int, now: int) -> None:
    key, text = made(expires=expires)
    table = KeyTable([key], dev=False)
    if now < expires:
        assert table.holder(text, now=now).expires == expires
    else:
        assert "expired" in refusal(table, text, now=now).message


def test_a_revoked_key_is_not_in_the_table() -> None:
    key, text = made()
    table = KeyTable([msgspec.structs.replace(key, revoked=5)], dev=True)
    assert len(table) == 0
    assert "not known" in refusal(table, text).message


def test_a_development_key_opens_nothing_from_other_machines() -> None:
    key, text = made(env="dev")
    assert KeyTable([key], dev=True).holder(text, now=0).key == key.id
    assert "development key" in refusal(KeyTable([key], dev=False), text).message


@pytest.mark.parametrize("byte", [0, 255, 0x55])
def test_a_broken_source_of_randomness_makes_no_key(byte: int) -> None:
    with pytest.raises(Refused, match="anybody could guess"):
        make_key(Fixed(byte), env="live", role="viewer", systems=("s",), label="x", owner="x", created=0)


@pytest.mark.parametrize("secret", [EXAMPLE, "a" * 32, "abcdefghijklmnopqrstuvwxyz234567"])
def test_weak_and_example_secrets_are_refused(secret: str) -> None:
    key, _ = made()
    weak = msgspec.structs.replace(key, digest=digest(secret))
    with pytest.raises(Refused, match="anybody knows") as caught:
        require_strong([key, weak])
    assert key.id in caught.value.next
    require_strong([key])


def test_no_record_error_or_log_repeats_a_secret(caplog: pytest.LogCaptureFixture) -> None:
    key, text = made()
    secret = parse(text).secret
    table = KeyTable([key], dev=True)
    wrong = written("live", id=key.id, secret=parse(made(9)[1]).secret)
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("test").info("%s %r %s", key, table.holder(text, now=0), table)
        told = [repr(refusal(table, one)) + str(refusal(table, one)) for one in (wrong, text[:-1], "x" + text)]
    for one in (*told, caplog.text, repr(key), str(key), f"{[key]}"):
        assert secret not in one
        assert key.digest not in one
        assert parse(wrong).secret not in one
    assert secret.encode() not in msgspec.json.encode(key)
