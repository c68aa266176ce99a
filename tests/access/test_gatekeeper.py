"""The gatekeeper: who asks, may they, is it too much; and what it was told last counts at once."""

from __future__ import annotations

import subprocess
import sys
from itertools import product
from typing import Final, get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kring.access.guard import FAILURES, FAILURES_PER_SECOND, Gatekeeper
from kring.access.keys import make_key, parse, written
from kring.access.roles import MAY
from kring.errors import Forbidden, TooMuch, Unauthenticated, Unavailable
from kring.host.random import SeededRandom
from kring.record.access import AccessPolicy, Action, ApiKey, Principal, Rate, Role

NOW: Final = 1_000_000


def made(seed: int = 1, *, role: Role = "caller", systems: tuple[str, ...] = ("tills",)) -> tuple[ApiKey, str]:
    return make_key(
        SeededRandom(seed), env="live", role=role, systems=systems, label=f"key {seed}", owner="Ann", created=0
    )


def gate(*keys: ApiKey, policy: AccessPolicy | None = None, workers: int = 1, worker: int = 0) -> Gatekeeper:
    made = Gatekeeper(dev_keys=False, workers=workers, worker=worker)
    made.replace(keys=keys, policies={"tills": policy} if policy else {})
    return made


def ask(
    at: Gatekeeper, headers: dict[str, str], *, action: Action = "decide", system: str = "tills", tick: float = 0.0,
    address: str = "10.0.0.1",
) -> Principal:  # fmt: skip
    return at.admit(headers, action=action, system=system, now=NOW, tick=tick, address=lambda: address)


class Reader:
    """Stands for an issuer that believes one word."""

    def __init__(self, word: str, principal: Principal | Exception) -> None:
        self.word = word
        self.found = principal

    def principal(self, token: str, *, now: int) -> Principal:
        if isinstance(self.found, Exception):
            raise self.found
        if token != self.word:
            raise Unauthenticated("not believed")
        return self.found


KEY, TEXT = made()


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": f"Bearer {TEXT}"},
        {"authorization": f"bearer {TEXT}"},
        {"authorization": f"Bearer  {TEXT} "},
        {"x-api-key": TEXT},
        {"x-api-key": TEXT, "authorization": f"Bearer {TEXT}"},
    ],
)
def test_a_key_is_shown_in_two_ways(headers: dict[str, str]) -> None:
    assert ask(gate(KEY), headers).key == KEY.id


OTHER = made(2)[1]


@pytest.mark.parametrize(
    ("headers", "word"),
    [
        ({}, "none"),
        ({"authorization": ""}, "another kind"),
        ({"authorization": "Bearer"}, "none"),
        ({"authorization": "Bearer "}, "none"),
        ({"x-api-key": ""}, "none"),
        ({"authorization": TEXT}, "another kind"),
        ({"authorization": f"Basic {TEXT}"}, "another kind"),
        ({"authorization": f"Token {TEXT}"}, "another kind"),
        ({"authorization": f"Bearer {OTHER}", "x-api-key": TEXT}, "two different"),
        ({"authorization": "Basic YTpi", "x-api-key": TEXT}, "another kind"),
        ({"cookie": f"key={TEXT}"}, "none"),
        ({"x-api-key": "x" * 10_000_000}, "more than"),
    ],
)
def test_what_shows_no_key(headers: dict[str, str], word: str) -> None:
    with pytest.raises(Unauthenticated) as caught:
        ask(gate(KEY), headers)
    assert word in caught.value.got
    assert caught.value.next
    assert TEXT not in str(caught.value)
    assert parse(TEXT).secret not in str(caught.value)


INJECTIONS = [
    "' OR '1'='1", "kring_live_' OR '1'='1", "kring_live_aaaaaaaaaaaaaaaa_' UNION SELECT digest FROM event --",
    "\x00", "kring_", "kring_live_" + "a" * 16 + "_" + "%00" * 20, "{}", "../../etc/passwd", "${7*7}", "kring_live___",
]  # fmt: skip


@pytest.mark.parametrize("text", INJECTIONS)
@pytest.mark.parametrize("name", ["authorization", "x-api-key"])
def test_words_of_other_languages_are_no_keys(text: str, name: str) -> None:
    with pytest.raises(Unauthenticated):
        ask(gate(KEY), {name: f"Bearer {text}" if name == "authorization" else text})


@given(st.dictionaries(st.sampled_from(["authorization", "x-api-key", "host"]), st.text(max_size=80)))
def test_nobody_comes_in_by_chance(headers: dict[str, str]) -> None:
    with pytest.raises(Unauthenticated):
        ask(gate(KEY), headers)


@pytest.mark.parametrize("system", ["tills", "parcels", "nowhere", ""])
def test_role_by_action_by_system(system: str) -> None:
    keys = {role: made(seed, role=role) for seed, role in enumerate(get_args(Role))}
    at = gate(*(key for key, _ in keys.values()))
    for role, action in product(get_args(Role), get_args(Action)):
        headers = {"x-api-key": keys[role][1]}
        if system == "tills" and action in MAY[role]:
            assert ask(at, headers, action=action, system=system).roles == {"tills": (role,)}
        else:
            with pytest.raises(Forbidden):
                ask(at, headers, action=action, system=system)


def test_what_it_was_told_last_counts_at_once() -> None:
    at, headers = gate(KEY), {"x-api-key": TEXT}
    assert ask(at, headers)
    at.replace(keys=[msgspec.structs.replace(KEY, role="viewer")])
    with pytest.raises(Forbidden):
        ask(at, headers)
    at.replace(keys=[msgspec.structs.replace(KEY, revoked=1)])
    with pytest.raises(Unauthenticated):
        ask(at, headers)
    at.replace(keys=[KEY])
    assert ask(at, headers)
    at.replace(keys=[])
    with pytest.raises(Unauthenticated):
        ask(at, headers)


def test_a_key_that_expires_ends_without_being_told() -> None:
    key = msgspec.structs.replace(KEY, expires=NOW + 5)
    at = gate(key)
    assert at.admit({"x-api-key": TEXT}, action="decide", system="tills", now=NOW + 4, tick=0.0)
    with pytest.raises(Unauthenticated, match="expired"):
        at.admit({"x-api-key": TEXT}, action="decide", system="tills", now=NOW + 5, tick=0.0)


def test_guessing_is_slowed_and_tells_nothing() -> None:
    """Wrong secrets of a key that exists and of one that does not end in the same words, then in 429."""
    told: dict[str, list[str]] = {"there": [], "nowhere": []}
    for name, id in (("there", KEY.id), ("nowhere", made(99)[0].id)):
        at = gate(KEY)
        for seed in range(FAILURES + 10):
            text = written("live", id=id, secret=parse(made(100 + seed)[1]).secret)
            with pytest.raises((Unauthenticated, TooMuch)) as caught:
                ask(at, {"x-api-key": text})
            told[name].append(f"{type(caught.value).__name__} {caught.value}")
    assert told["there"] == told["nowhere"]
    assert [one.split()[0] for one in told["there"]] == ["Unauthenticated"] * FAILURES + ["TooMuch"] * 10


def test_right_keys_and_other_addresses_are_never_slowed() -> None:
    at, wrong = gate(KEY), {"x-api-key": OTHER}
    for _ in range(FAILURES):
        with pytest.raises(Unauthenticated):
            ask(at, wrong)
    with pytest.raises(TooMuch) as caught:
        ask(at, wrong)
    assert caught.value.after_s == round(1 / FAILURES_PER_SECOND)
    assert ask(at, {"x-api-key": TEXT})
    with pytest.raises(Unauthenticated):
        ask(at, wrong, address="10.0.0.2")
    with pytest.raises(Unauthenticated):
        ask(at, wrong, tick=float(caught.value.after_s))
    with pytest.raises(TooMuch):
        ask(at, wrong, tick=float(caught.value.after_s))


def test_asking_without_a_key_is_no_guess() -> None:
    at = gate(KEY)
    for _ in range(FAILURES * 3):
        with pytest.raises(Unauthenticated):
            ask(at, {})


def test_the_rate_of_each_key_and_of_the_system() -> None:
    policy = AccessPolicy(per_key=Rate(per_second=3), per_system=Rate(per_second=5))
    (first, one), (second, two), (third, three) = made(1), made(2), made(3)
    at = gate(first, second, third, policy=policy)
    for text in (one, one, one, two, two):
        ask(at, {"x-api-key": text})
    with pytest.raises(TooMuch, match="with this key") as key:
        ask(at, {"x-api-key": one})
    assert key.value.after_s == 1
    with pytest.raises(TooMuch, match="to this system"):
        ask(at, {"x-api-key": three})
    assert ask(at, {"x-api-key": three}, tick=0.5)


@pytest.mark.parametrize("workers", [1, 2, 3, 4, 8])
def test_the_workers_share_a_machines_limit(workers: int) -> None:
    policy = AccessPolicy(per_key=Rate(per_second=40, at_once=16))
    passed = inside = 0
    for worker in range(workers):
        at = gate(KEY, policy=policy, workers=workers, worker=worker)
        for number in range(400):
            try:
                principal = ask(at, {"x-api-key": TEXT}, tick=number / 40)
                passed += 1
            except TooMuch:
                continue
        held = [at.inside(principal, system="tills") for _ in range(20)]
        for one in held:
            try:
                one.__enter__()
                inside += 1
            except TooMuch:
                continue
    assert inside == 16
    assert 0.8 * 400 <= passed <= 1.2 * (400 + 40)


def test_requests_at_the_same_time() -> None:
    policy = AccessPolicy(per_key=Rate(at_once=1), per_system=Rate(at_once=2))
    keys = [made(seed) for seed in (1, 2, 3)]
    at = gate(*(key for key, _ in keys), policy=policy)
    one, two, three = (ask(at, {"x-api-key": text}) for _, text in keys)
    with at.inside(one, system="tills"):
        with pytest.raises(TooMuch, match="with this key"), at.inside(one, system="tills"):
            pass
        both = pytest.raises(TooMuch, match="to this system")
        with at.inside(two, system="tills"), both, at.inside(three, system="tills"):
            pass
        with at.inside(three, system="tills"):
            pass
    with pytest.raises(RuntimeError), at.inside(one, system="tills"):
        raise RuntimeError
    with at.inside(one, system="tills"), at.inside(one, system="another"), at.inside(one, system="another"):
        pass


def test_counts_go_on_where_a_policy_stays() -> None:
    policy = AccessPolicy(per_key=Rate(per_second=1))
    at = gate(KEY, policy=policy)
    ask(at, {"x-api-key": TEXT})
    at.replace(keys=[KEY], policies={"tills": AccessPolicy(per_key=Rate(per_second=1)), "new": AccessPolicy()})
    with pytest.raises(TooMuch):
        ask(at, {"x-api-key": TEXT})
    at.replace(policies={"tills": AccessPolicy(per_key=Rate(per_second=2))})
    assert ask(at, {"x-api-key": TEXT})


def test_tokens_are_believed_system_by_system() -> None:
    at = gate(KEY)
    at.replace(tokens={
        "a": Reader("right", Principal(name="ann", roles={"a": ("admin",)}, expires=20)),
        "b": Reader("right", Principal(name="ann", roles={"b": ("viewer",)}, expires=20)),
        "c": Reader("other", Principal(name="bob", roles={"c": ("admin",)}, expires=9)),
    })  # fmt: skip
    headers = {"authorization": "Bearer right"}
    assert ask(at, headers, action="manage", system="a").name == "ann"
    with pytest.raises(Forbidden):
        ask(at, headers, action="manage", system="b")
    with pytest.raises(Unauthenticated):
        ask(at, headers, system="c")
    with pytest.raises(Unauthenticated, match="no tokens are taken"):
        ask(at, headers, system="tills")
    everywhere = at.authenticate(headers, now=NOW, tick=0.0)
    assert everywhere.roles == {"a": ("admin",), "b": ("viewer",)}
    at.replace(tokens={})
    with pytest.raises(Unauthenticated):
        ask(at, headers, system="a")


def test_keys_that_can_not_be_checked_now_are_no_guess() -> None:
    at = gate()
    at.replace(tokens={"a": Reader("x", Unavailable("too old"))})
    for _ in range(FAILURES * 2):
        with pytest.raises(Unavailable):
            ask(at, {"authorization": "Bearer x"}, system="a")


def test_one_issuer_that_is_away_does_not_stop_the_others() -> None:
    at, ann = gate(), Principal(name="ann", roles={"b": ("viewer",)})
    away, there = Reader("x", Unavailable("too old")), Reader("x", ann)
    for tokens in ({"a": away, "b": there}, {"b": there, "a": away}):
        at.replace(tokens=tokens)
        assert at.authenticate({"authorization": "Bearer x"}, now=NOW, tick=0.0).roles == ann.roles
        with pytest.raises(Unavailable):
            at.authenticate({"authorization": "Bearer y"}, now=NOW, tick=0.0)


def test_a_token_takes_nothing_from_the_limit_of_a_key() -> None:
    at = gate(KEY, policy=AccessPolicy(per_key=Rate(per_second=1)))
    at.replace(tokens={"tills": Reader("x", Principal(name=KEY.id, roles={"tills": ("caller",)}))})
    assert ask(at, {"authorization": "Bearer x"})
    assert ask(at, {"x-api-key": TEXT})


@given(st.lists(st.tuples(st.booleans(), st.sampled_from([0, 1, 2])), max_size=30))
@settings(max_examples=30)
def test_exactly_the_keys_of_the_table_open(steps: list[tuple[bool, int]]) -> None:
    keys = [made(seed) for seed in range(3)]
    live: set[int] = set()
    at = gate()
    for added, number in steps:
        live = live | {number} if added else live - {number}
        at.replace(keys=[keys[one][0] for one in live])
        for other, (_, text) in enumerate(keys):
            if other in live:
                assert ask(at, {"x-api-key": text})
            else:
                with pytest.raises((Unauthenticated, TooMuch)):
                    ask(at, {"x-api-key": text})


def test_a_worker_without_tokens_loads_nothing_for_them() -> None:
    heavy = {"jwt", "cryptography", "numpy", "polars", "kring.flow"}
    code = f"import sys, kring.access.guard, kring.access.hosts; print(sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
