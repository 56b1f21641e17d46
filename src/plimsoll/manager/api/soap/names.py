"""Names in Python and on the wire: ``host_group_id`` is ``hostGroupID``, ``s_id`` is ``sID``.

The reference is not of one mind: an argument that is nothing but an id is ``id``, a field is ``ID``, and a few fields
end in ``Id``; those say so where they are declared.
"""

from __future__ import annotations

_CAPITALS = {"id": "ID", "ids": "IDs", "ip": "IP"}


def wire(name: str) -> str:
    """A field's name as the reference spells it."""
    first, *rest = name.split("_")
    head = _CAPITALS.get(first, first)
    return head + "".join(_CAPITALS.get(part, part[:1].upper() + part[1:]) for part in rest)


def argument(name: str) -> str:
    """An argument's name."""
    return name if name in _CAPITALS else wire(name)
