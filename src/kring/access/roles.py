"""The one policy: which role may do what. What is not in the table may nobody."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from kring.errors import Forbidden
from kring.record.access import Action, Principal, Role

MAY: Final[dict[Role, frozenset[Action]]] = {
    "viewer": frozenset({"observe"}),
    "caller": frozenset({"decide", "outcome", "flag"}),
    "developer": frozenset({"decide", "outcome", "flag", "observe", "explain"}),
    "releaser": frozenset({"observe", "explain", "release"}),
    "approver": frozenset({"observe", "explain", "approve"}),
    "auditor": frozenset({"observe", "explain", "audit"}),
    "admin": frozenset({"decide", "outcome", "flag", "observe", "explain", "release", "approve", "audit", "manage"}),
}

ALLOWED: Final[dict[Action, frozenset[Role]]] = {
    action: frozenset(role for role, actions in MAY.items() if action in actions)
    for action in frozenset().union(*MAY.values())
}
"""The same table by action."""


def actions(principal: Principal, *, system: str) -> frozenset[Action]:
    """All that `principal` may do in `system`; nothing without a role there."""
    return frozenset().union(*(MAY[role] for role in principal.roles.get(system, ())))


def may(principal: Principal, action: Action, *, system: str) -> bool:
    """Whether one of the roles that `principal` has in `system` allows `action`."""
    return not ALLOWED[action].isdisjoint(principal.roles.get(system, ()))


def require(principal: Principal, action: Action, *, system: str) -> None:
    """`Forbidden` unless `principal` may do `action` in `system`; the same words whether there is such a system."""
    if may(principal, action, system=system):
        return
    held = ", ".join(principal.roles.get(system, ())) or "no role in this system"
    raise Forbidden(
        f"{principal.name} may not {action} here",
        got=held,
        allowed=" or ".join(role for role, allowed in MAY.items() if action in allowed),
        next="ask an admin of the system for a key with such a role",
    )


def may_mint(principal: Principal, *, role: Role, systems: Iterable[str], expires: int) -> bool:
    """Whether `principal` may make a key with `role` in all of `systems` until `expires` (microseconds, 0: for ever).

    It takes the right to manage in each of them, and no key is wider than its maker: in actions, in systems, in time.
    """
    named = tuple(systems)
    longer = principal.expires and (expires == 0 or expires > principal.expires)
    return bool(named) and not longer and all(_covers(principal, role, system) for system in named)


def may_revoke(principal: Principal, *, systems: Iterable[str]) -> bool:
    """Whether `principal` may end a key that holds in `systems`: it takes the right to manage in all of them."""
    named = tuple(systems)
    return bool(named) and all(may(principal, "manage", system=system) for system in named)


def _covers(principal: Principal, role: Role, system: str) -> bool:
    own = actions(principal, system=system)
    return "manage" in own and own >= MAY[role]
