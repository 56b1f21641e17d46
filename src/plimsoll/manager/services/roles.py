"""The roles as things with numbers: they are fixed, and what each may do stands in `ports.ROLES`. Pure but for the
permission.
"""

from __future__ import annotations

from dataclasses import dataclass

from plimsoll.manager.ports import ROLES, BadInput, NotFound, Permission, Principal, Role, permits

#: 1 and 2 mean what they mean in a new installation of the reference: full access, and an auditor's.
NUMBERS = {Role.ADMINISTRATOR: 1, Role.AUDITOR: 2, Role.OPERATOR: 3}

_DESCRIPTIONS = {
    Role.ADMINISTRATOR: "everything, other people's access included",
    Role.AUDITOR: "looks at everything and changes nothing",
    Role.OPERATOR: "runs the fleet: floors, computers, policies, upgrades, but nobody's access",
}


@dataclass(frozen=True, slots=True)
class RoleView:
    id: int
    role: Role
    description: str
    permissions: tuple[Permission, ...]


class RolesService:
    @permits(Permission.ACCESS_READ)
    def list(self, principal: Principal) -> tuple[RoleView, ...]:
        """In the order of their numbers."""
        return tuple(map(_view, sorted(NUMBERS, key=NUMBERS.__getitem__)))

    @permits(Permission.ACCESS_READ)
    def get(self, principal: Principal, role: int) -> RoleView:
        for one, number in NUMBERS.items():
            if number == role:
                return _view(one)
        raise NotFound(f"there is no role {role}; there are {_valid()}")


def role_numbered(number: int) -> Role:
    """Raises BadInput for a number that no role has."""
    for one, known in NUMBERS.items():
        if known == number:
            return one
    raise BadInput(f"there is no role {number}; there are {_valid()}. Nothing was changed")


def _valid() -> str:
    return ", ".join(f"{number} ({role.value})" for role, number in NUMBERS.items())


def _view(role: Role) -> RoleView:
    permissions = tuple(permission for permission in Permission if permission in ROLES[role])
    return RoleView(NUMBERS[role], role, _DESCRIPTIONS[role], permissions)
