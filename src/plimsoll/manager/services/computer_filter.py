"""What a person narrows the list of computers by, as it stands in the address of the list. Pure.

A value that is empty narrows nothing. All that is said must hold.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from plimsoll.manager import search
from plimsoll.manager.ports import BadInput
from plimsoll.manager.search import ORDERS, Compare, Criterion, IsNull, Kind, OneOf, Order, Place
from plimsoll.tls.versions import FLOORS, Version

#: Of an offered version: who never showed one in a handshake.
NEVER = "never"
#: In place of a group: who is in none.
NONE = "none"
#: Words and characters of a search that are looked at.
_WORDS = 6
_CHARACTERS = 200
_VERSION = re.compile(r"(<=|>=|<|>|=)?\s*(.+)")
_OPS: Mapping[str, search.Op] = {
    "<": "less-than",
    "<=": "less-than-or-equal",
    "=": "equal",
    ">=": "greater-than-or-equal",
    ">": "greater-than",
}


@dataclass(frozen=True, slots=True)
class ComputerFilter:
    """`q` are words. `state` is active, approval, revoked, or online or offline of those that are active.

    `online` is yes or no; `version` an agent's, led by ``<`` or the like where that is meant.

    `offered` is a TLS version, `NEVER`, or ``<`` and a version. `relaygroup` and `group` are numbers or `NONE`,
    `policy` a number. `refused` (1) are those that were refused, or would be by a shadow floor, in the last 30 days;
    `pending` (1) those for whom something of the policy waits to be sent. `sort` is one of `search.ORDERS`.
    """

    q: str = ""
    kind: str = ""
    state: str = ""
    online: str = ""
    version: str = ""
    offered: str = ""
    relaygroup: str = ""
    group: str = ""
    policy: str = ""
    refused: str = ""
    pending: str = ""
    sort: str = ""

    @classmethod
    def of(cls, given: Mapping[str, str]) -> ComputerFilter:
        """What of it is a filter; other names are passed over. Raises BadInput for a text that is too long."""
        values = {one.name: given[one.name].strip() for one in fields(cls) if given.get(one.name)}
        for name, value in values.items():
            if len(value) > _CHARACTERS:
                raise BadInput(f"{name} has at most {_CHARACTERS} characters; nothing was searched")
        return cls(**values)

    def query(self) -> dict[str, str]:
        """As it stands in an address: what is said, and nothing else."""
        return {one.name: getattr(self, one.name) for one in fields(self) if getattr(self, one.name)}

    @property
    def narrows(self) -> bool:
        """Whether anybody may be left out."""
        return replace(self, sort="") != ComputerFilter()

    @property
    def words(self) -> tuple[str, ...]:
        return tuple(self.q.split()[:_WORDS])

    @property
    def order(self) -> Order:
        """By name where nothing is said. Raises BadInput."""
        if self.sort and self.sort not in ORDERS:
            raise BadInput(f"computers are sorted by {', '.join(ORDERS)}, not by {self.sort!r}; nothing was searched")
        return self.sort or "name"

    def criteria(self) -> tuple[Criterion, ...]:
        """All but words, refusals and what waits. Raises BadInput for a value that is none."""
        found: list[Criterion] = []
        state = self.state
        if state in ("online", "offline"):
            found.append(Compare("online", Kind.BOOLEAN, "equal", state == "online"))
            state = "active"
        for field, value in (("kind", self.kind), ("state", state)):
            if value:
                found.append(Compare(field, Kind.CHOICE, "equal", value))
        if self.online:
            found.append(Compare("online", Kind.BOOLEAN, "equal", _yes(self.online)))
        if self.version:
            found.append(_version(self.version))
        if self.offered:
            found.append(_offered(self.offered))
        for field, value in (("relayListID", self.relaygroup), ("groupID", self.group), ("policyID", self.policy)):
            if value:
                found.append(_number(field, value))
        return tuple(found)


def _yes(text: str) -> bool:
    if text not in ("yes", "no"):
        raise BadInput(f"online is yes or no, not {text!r}; nothing was searched")
    return text == "yes"


def _version(text: str) -> Criterion:
    parts = _VERSION.fullmatch(text)
    assert parts is not None, "it is not empty"
    number = f"{parts[2]}.0" if parts[2].isdigit() else parts[2]
    return Compare("agentVersion", Kind.VERSION, _OPS[parts[1] or "="], number)


def _offered(text: str) -> Criterion:
    if text == NEVER:
        return IsNull("tls.offered", True)
    below = text.startswith("<")
    version = next((one for one in Version if one.value == text.removeprefix("<")), None)
    if version is None:
        valid = ", ".join(one.value for one in FLOORS)
        raise BadInput(
            f"offered is one of {valid}, one of these behind <, or {NEVER}, not {text!r}; nothing was searched"
        )
    fitting = [one.value for one in Version if (one < version if below else one is version)]
    return OneOf("tls.offered", tuple(fitting))


def _number(field: str, text: str) -> Criterion:
    if text == NONE:
        return IsNull(field, True)
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        raise BadInput(f"{field} is a number or {NONE}, not {text!r}; nothing was searched")
    return Compare(field, Kind.ID, "equal", int(text))


def place_text(place: Place) -> str:
    """A place as it stands in an address."""
    return f"{place.number}" if place.key is None else f"{place.number}.{place.key}"


def read_place(text: str, order: Order) -> Place:
    """The place again. Raises BadInput."""
    number, _, key = text.partition(".")
    at: Any = None
    try:
        if order == "last-seen":
            at = float(key)
        elif order == "name":
            at = key
        return Place(int(number), at)
    except ValueError:
        raise BadInput("the address of this page is not one of ours; begin at the first page") from None
