"""Where a new computer goes: the policy and the groups that whoever activated it asked for, by number or by name.

Rules of this file: what is not known is an error before anything was activated, never a default; a token is not used
up for it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from plimsoll.manager.ports import NotFound
from plimsoll.manager.store import Connection
from plimsoll.manager.store import groups as group_table
from plimsoll.manager.store import policies as policy_table
from plimsoll.messages import Assignment


class Named(Protocol):
    """What a number or a name stands for."""

    @property
    def id(self) -> int: ...

    @property
    def name(self) -> str: ...


def columns(connection: Connection, assign: Assignment | None) -> dict[str, Any]:
    """The columns of a computer that follow from it, only those that were asked for. Raises NotFound."""
    if assign is None:
        return {}
    placed: dict[str, Any] = {}
    if assign.policy:
        placed["policy_id"] = pick("policy", assign.policy, policy_table.all_policies(connection))
    if assign.group:
        placed["group_id"] = pick("computer group", assign.group, group_table.all_groups(connection))
    if assign.description:
        placed["description"] = assign.description
    if assign.relay_group:
        placed["relay_group_id"] = pick("relay group", assign.relay_group, policy_table.all_groups(connection))
    return placed


def pick(what: str, wanted: str, known: Iterable[Named], kept: str = "nothing was activated") -> int:
    """The one of that number, else the one of that name. Raises NotFound, which names those there are."""
    there = list(known)
    text = wanted.strip()
    if text.isascii() and text.isdigit():
        for one in there:
            if one.id == int(text):
                return one.id
    for one in there:
        if one.name == text:
            return one.id
    names = ", ".join(f"{one.id} ({one.name})" for one in there[:20]) or "none"
    raise NotFound(f"there is no {what} {wanted!r}; {kept}. There is: {names}")
