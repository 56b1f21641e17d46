"""Settings by the reference's names, of policies and of computers.

Some are values of a policy here; the rest are kept for the programs that set them, inherited as the others are, and
change nothing. What a name means stands in `setting_values`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from plimsoll.manager.ports import BadInput, Permission, Principal, permits
from plimsoll.manager.services import policy_rules
from plimsoll.manager.services.computers import ComputerChange, ComputersService, ComputerView
from plimsoll.manager.services.core import Core
from plimsoll.manager.services.keeping import Place, drop, keep
from plimsoll.manager.services.policies import PoliciesService, PolicyView
from plimsoll.manager.services.policy_rules import DEFAULTS, PolicyValues
from plimsoll.manager.services.setting_values import RELAY_STATE, SETTINGS, SHOWN, may_be_kept, no_setting, unset
from plimsoll.manager.store import Connection
from plimsoll.manager.store import kept_settings as table
from plimsoll.manager.store import policies as policy_table
from plimsoll.messages import Direction, Kind

POLICY = "policy"
COMPUTER = "computer"

#: Of more computers than that, all that is kept is read: a database takes only so many numbers in one question.
MANY = 1000


class SettingsService:
    def __init__(self, core: Core, computers: ComputersService, policies: PoliciesService) -> None:
        self._core = core
        self._computers = computers
        self._policies = policies

    @permits(Permission.POLICIES_READ)
    def of_policies(
        self, principal: Principal, views: Sequence[PolicyView], own: bool = False
    ) -> dict[int, dict[str, str]]:
        """What holds for each, inherited values included; with `own` only what is its own."""
        above = self._core.store.read(_Kept.read)
        if own:
            return {view.id: _mapped(view.own) | above.kept.get(view.id, {}) for view in views}
        return {view.id: above.inherited(view.id) | _mapped(view.effective) | {RELAY_STATE: "false"} for view in views}

    @permits(Permission.COMPUTERS_READ)
    def of_computers(
        self, principal: Principal, views: Sequence[ComputerView], own: bool = False
    ) -> dict[int, dict[str, str]]:
        """The same by the number of each computer."""
        numbers = [view.number for view in views]

        def work(connection: Connection) -> tuple[_Kept, dict[int, dict[str, str]]]:
            many = len(numbers) > MANY
            kept = table.everything(connection, COMPUTER) if many else table.of(connection, COMPUTER, numbers)
            return _Kept.read(connection), kept

        above, kept = self._core.store.read(work)
        if own:
            return {view.number: _mapped(view.own) | kept.get(view.number, {}) for view in views}
        # Many computers have few policies.
        inherited = {policy: above.inherited(policy) for policy in {view.policy_id for view in views}}
        return {
            view.number: inherited[view.policy_id]
            | kept.get(view.number, {})
            | _mapped(view.values)
            | {RELAY_STATE: relay_state(view)}
            for view in views
        }

    @permits(Permission.POLICIES_CHANGE)
    def set_policy(
        self, principal: Principal, policy: int, given: Mapping[str, str], *, whole: bool = False
    ) -> PolicyView:
        """`whole` where all settings came back of which some were changed: what holds anyway is not made its own."""
        view = self._policies.get(principal, policy)
        if whole:
            now = self.of_policies(principal, [view])[policy]
            given = {name: value for name, value in given.items() if now.get(name, unset(name)) != value}
        values, kept = read_settings(given, "false")
        keep(self._core, principal, Place(POLICY, policy, view.name), kept)
        return self._policies.update(principal, policy, values) if values != PolicyValues() else view

    @permits(Permission.POLICIES_CHANGE)
    def reset_policy(self, principal: Principal, policy: int, name: str) -> PolicyView:
        """The parent decides it again; at the base policy it is what it was in a new installation."""
        view = self._policies.get(principal, policy)
        setting = SETTINGS.get(name)
        if setting is None:
            check_name(name)
            drop(self._core, principal, Place(POLICY, policy, view.name), name)
            return view
        if view.parent_id is not None:
            return self._policies.update(principal, policy, PolicyValues(), inherit=(setting.field,))
        default: Any = DEFAULTS[setting.field]
        if setting.field == "direction":
            default = Direction(default)
        return self._policies.update(principal, policy, PolicyValues(**{setting.field: default}))

    @permits(Permission.COMPUTERS_CHANGE)
    def set_computer(
        self, principal: Principal, computer: str, given: Mapping[str, str], *, whole: bool = False
    ) -> ComputerView:
        view = self._computers.get(principal, computer)
        if whole:
            now = self.of_computers(principal, [view])[view.number]
            given = {name: value for name, value in given.items() if now.get(name, unset(name)) != value}
        values, kept = read_settings(given, relay_state(view))
        keep(self._core, principal, Place(COMPUTER, view.number, view.id), kept)
        if values == PolicyValues():
            return view
        return self._computers.update(principal, computer, ComputerChange(own=values))

    @permits(Permission.COMPUTERS_CHANGE)
    def reset_computer(self, principal: Principal, computer: str, name: str) -> ComputerView:
        """Its policy decides it again."""
        view = self._computers.get(principal, computer)
        setting = SETTINGS.get(name)
        if setting is not None:
            return self._computers.update(principal, computer, ComputerChange(inherit=(setting.field,)))
        check_name(name)
        drop(self._core, principal, Place(COMPUTER, view.number, view.id), name)
        return view


def check_name(name: str) -> None:
    """Raises NotFound for what the reference could not have either."""
    if name not in SETTINGS and name != RELAY_STATE and not may_be_kept(name):
        raise no_setting(name)


def _mapped(values: PolicyValues) -> dict[str, str]:
    shown = {name: setting.show(values) for name, setting in SETTINGS.items()}
    return {name: value for name, value in shown.items() if value is not None}


def relay_state(view: ComputerView) -> str:
    return "true" if view.kind is Kind.RELAY else "false"


@dataclass(frozen=True, slots=True)
class _Kept:
    """What is kept of each policy, and from which it inherits."""

    kept: Mapping[int, dict[str, str]]
    parents: Mapping[int, int | None]

    @classmethod
    def read(cls, connection: Connection) -> _Kept:
        parents = {record.id: record.parent_id for record in policy_table.all_policies(connection)}
        return cls(table.everything(connection, POLICY), parents)

    def inherited(self, policy: int) -> dict[str, str]:
        """With what nobody need set. A policy that is gone by now has nothing."""
        found: dict[str, str] = {}
        at: int | None = policy
        # As long as there are policies: a circle would have been refused.
        for _ in self.parents:
            if at is None:
                break
            found = {**self.kept.get(at, {}), **found}
            at = self.parents.get(at)
        return {name: unset(name) for name in SHOWN} | found


def read_settings(given: Mapping[str, str], relay_state: str) -> tuple[PolicyValues, dict[str, str]]:
    """What are values of a policy, and what is only kept. Raises before anything was changed."""
    values: dict[str, Any] = {}
    kept: dict[str, str] = {}
    for name, value in given.items():
        setting = SETTINGS.get(name)
        if setting is not None:
            values[setting.field] = getattr(setting.read(name, value), setting.field)
        elif name != RELAY_STATE:
            check_name(name)
            kept[name] = value
        elif value.strip().lower() != relay_state:
            raise BadInput(
                f"{name} is {relay_state}: a computer becomes a relay, or stops being one, by how its agent is"
                " started on the computer itself; nothing was changed"
            )
    read = PolicyValues(**values)
    policy_rules.columns_of(read)
    return read, kept
