"""Who may do what: every role with every action, and keys no wider than their maker."""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path
from typing import Final, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kring.access.roles import MAY, actions, may, may_mint, may_revoke, require
from kring.errors import Forbidden
from kring.record.access import Action, Principal, Role

ROLES: Final = get_args(Role)
ACTIONS: Final = get_args(Action)
PAGE: Final = Path(__file__).parents[2] / "docs" / "access.md"

EXPECTED: Final = {
    "viewer": "observe",
    "caller": "decide outcome flag",
    "developer": "decide outcome flag observe explain",
    "releaser": "observe explain release",
    "approver": "observe explain approve",
    "auditor": "observe explain audit",
    "admin": "decide outcome observe explain flag release approve manage audit",
}
"""Written down a second time, so that nobody widens a role by accident."""

principals = st.builds(
    Principal,
    name=st.just("p"),
    roles=st.dictionaries(
        st.sampled_from(["a", "b", "c"]), st.lists(st.sampled_from(ROLES), max_size=3).map(tuple), max_size=3
    ),
    expires=st.sampled_from([0, 10, 20]),
)


def holder(role: Role, *, system: str = "mine", expires: int = 0) -> Principal:
    return Principal(name="somebody", roles={system: (role,)}, expires=expires)


def test_the_table_knows_every_role_and_only_known_actions() -> None:
    assert set(MAY) == set(ROLES) == set(EXPECTED)
    assert set().union(*MAY.values()) == set(ACTIONS)


@pytest.mark.parametrize(("role", "action"), list(product(ROLES, ACTIONS)))
@pytest.mark.parametrize("system", ["mine", "theirs"])
def test_role_by_action_by_system(role: Role, action: Action, system: str) -> None:
    allowed = system == "mine" and action in EXPECTED[role].split()
    assert may(holder(role), action, system=system) is allowed
    if allowed:
        require(holder(role), action, system=system)
    else:
        with pytest.raises(Forbidden) as caught:
            require(holder(role), action, system=system)
        assert action in caught.value.message
        assert system not in str(caught.value).replace("in this system", "")


@pytest.mark.parametrize("action", ACTIONS)
def test_without_a_role_nothing(action: Action) -> None:
    assert not may(Principal(name="nobody"), action, system="mine")
    assert not may(Principal(name="nobody", roles={"mine": ()}), action, system="mine")


def test_several_roles_add_up() -> None:
    both = Principal(name="p", roles={"mine": ("viewer", "approver")})
    assert actions(both, system="mine") == MAY["viewer"] | MAY["approver"]
    assert not may(both, "release", system="mine")


@pytest.mark.parametrize(("maker", "role"), list(product(ROLES, ROLES)))
def test_only_who_manages_makes_keys_and_none_that_is_wider(maker: Role, role: Role) -> None:
    allowed = maker == "admin"
    assert may_mint(holder(maker), role=role, systems=["mine"], expires=0) is allowed
    assert not may_mint(holder(maker), role=role, systems=["theirs"], expires=0)
    assert not may_mint(holder(maker), role=role, systems=["mine", "theirs"], expires=0)
    assert not may_mint(holder(maker), role=role, systems=[], expires=0)


@given(
    principal=principals,
    role=st.sampled_from(ROLES),
    systems=st.lists(st.sampled_from(["a", "b", "c"]), max_size=3),
    expires=st.sampled_from([0, 5, 10, 15, 20, 30]),
)
def test_no_key_can_do_what_its_maker_could_not(
    principal: Principal, role: Role, systems: list[str], expires: int
) -> None:
    if not may_mint(principal, role=role, systems=systems, expires=expires):
        return
    assert systems
    child = Principal(name="child", roles=dict.fromkeys(systems, (role,)), expires=expires)
    for system, action in product(["a", "b", "c"], ACTIONS):
        assert may(principal, action, system=system) or not may(child, action, system=system)
    assert not principal.expires or 0 < child.expires <= principal.expires


def test_who_manages_may_end_keys() -> None:
    assert may_revoke(holder("admin"), systems=["mine"])
    assert not may_revoke(holder("admin"), systems=["mine", "theirs"])
    assert not may_revoke(holder("admin"), systems=[])
    assert not any(may_revoke(holder(role), systems=["mine"]) for role in ROLES if role != "admin")


def test_the_handbook_shows_the_table_as_it_is() -> None:
    rows = re.findall(r"^\| `(\w+)` \|(.*)\|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    shown = {role: set(re.findall(r"`(\w+)`", cells)) for role, cells in rows if role in MAY}
    assert shown == {role: set(allowed) for role, allowed in MAY.items()}
