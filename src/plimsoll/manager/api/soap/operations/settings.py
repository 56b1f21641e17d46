"""Settings of computers, policies and the manager, in the reference's keys and units."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from plimsoll.manager.api.soap.registry import Call, operation
from plimsoll.manager.api.soap.shapes import (
    EditableSettingStoredTransport,
    EditableSettingTransport,
    EnumEditableSettingKey,
    EnumEditableSettingStoredScope,
    EnumEditableSettingUnit,
)
from plimsoll.manager.ports import BadInput
from plimsoll.manager.services.computers import ComputerChange, ComputerView
from plimsoll.manager.services.policy_rules import PolicyValues
from plimsoll.manager.services.setting_values import DIRECTIONS, UNITS, whole_number
from plimsoll.messages import Kind

Key = EnumEditableSettingKey
Unit = EnumEditableSettingUnit
Scope = EnumEditableSettingStoredScope

_SECONDS = {unit: UNITS[unit.value[:-1].lower()] for unit in (Unit.SECONDS, Unit.MINUTES, Unit.HOURS, Unit.DAYS)}
#: As SOAP means "inherit" by them.
_INHERIT = ("", "0")


@dataclass(frozen=True, slots=True)
class _Setting:
    """One value of a policy: its name there, how it reads, and how it is read."""

    field: str
    unit: Unit
    show: Callable[[PolicyValues], str | None]
    read: Callable[[EditableSettingTransport], PolicyValues]


def _heartbeat(values: PolicyValues) -> str | None:
    return None if values.heartbeat_seconds is None else str(values.heartbeat_seconds)


def _read_heartbeat(given: EditableSettingTransport) -> PolicyValues:
    factor = _SECONDS.get(given.setting_unit)
    if factor is None:
        raise BadInput(f"{given.setting_key.value} is in SECONDS, MINUTES, HOURS or DAYS; nothing was changed")
    return PolicyValues(heartbeat_seconds=_number(given) * factor)


def _number(given: EditableSettingTransport) -> int:
    return whole_number(given.setting_key.value, given.setting_value or "")


def _direction(values: PolicyValues) -> str | None:
    return next((number for number, one in DIRECTIONS.items() if one is values.direction), None)


def _read_direction(given: EditableSettingTransport) -> PolicyValues:
    direction = DIRECTIONS.get((given.setting_value or "").strip())
    if direction is None:
        raise BadInput(
            f"{given.setting_key.value} is 1 (agent-initiated), 2 (manager-initiated) or 3 (bidirectional);"
            " nothing was changed"
        )
    return PolicyValues(direction=direction)


_SETTINGS = {
    Key.CONFIGURATION_DEFAULTHEARTBEATPERIOD: _Setting("heartbeat_seconds", Unit.SECONDS, _heartbeat, _read_heartbeat),
    Key.CONFIGURATION_MAXMISSEDHEARTBEATS: _Setting(
        "missed_heartbeats",
        Unit.NONE,
        lambda values: None if values.missed_heartbeats is None else str(values.missed_heartbeats),
        lambda given: PolicyValues(missed_heartbeats=_number(given)),
    ),
    Key.CONFIGURATION_AGENTCOMMUNICATIONS: _Setting("direction", Unit.NONE, _direction, _read_direction),
}


def _shown(key: Key, values: PolicyValues, scope: Scope) -> EditableSettingStoredTransport:
    setting = _SETTINGS.get(key)
    if setting is None:
        raise BadInput(f"{key.value} is no setting of a computer or a policy here; nothing was read")
    return EditableSettingStoredTransport(key, setting.unit, setting.show(values), scope)


def _parsed(given: Sequence[EditableSettingTransport]) -> tuple[PolicyValues, tuple[str, ...]]:
    """The values to set, and the fields to inherit again."""
    values: dict[str, object] = {}
    inherit: list[str] = []
    for one in given:
        setting = _SETTINGS.get(one.setting_key)
        if setting is None:
            raise BadInput(f"{one.setting_key.value} cannot be set here; nothing was changed")
        if (one.setting_value or "").strip() in _INHERIT:
            inherit.append(setting.field)
        else:
            values[setting.field] = getattr(setting.read(one), setting.field)
    if not given:
        raise BadInput("name at least one setting; nothing was changed")
    return PolicyValues(**values), tuple(inherit)  # type: ignore[arg-type]  # each by its own reader


def _fields(keys: Sequence[Key]) -> tuple[str, ...]:
    unknown = [key.value for key in keys if key not in _SETTINGS]
    if unknown or not keys:
        raise BadInput(f"{', '.join(unknown) or 'no setting'} cannot be cleared here; nothing was changed")
    return tuple(_SETTINGS[key].field for key in keys)


@operation()
def host_setting_get(call: Call, host_id: int, keys: list[Key]) -> list[EditableSettingStoredTransport]:
    """What holds for a computer: its own value, else its policy's."""
    view = call.back.services.computers.get(call.asks, str(host_id))
    return [_of_host(key, view) for key in keys]


def _of_host(key: Key, view: ComputerView) -> EditableSettingStoredTransport:
    if key is Key.CONFIGURATION_RELAYSTATE:
        value = "true" if view.kind is Kind.RELAY else "false"
        return EditableSettingStoredTransport(key, Unit.NONE, value, Scope.HOST)
    own = key in _SETTINGS and getattr(view.own, _SETTINGS[key].field) is not None
    return _shown(key, view.values, Scope.HOST if own else Scope.PROFILE)


@operation()
def host_setting_set(call: Call, host_id: int, editable_settings: list[EditableSettingTransport]) -> None:
    """Values for this computer alone."""
    values, inherit = _parsed(editable_settings)
    call.back.services.computers.update(call.asks, str(host_id), ComputerChange(own=values, inherit=inherit))


@operation()
def host_setting_clear(call: Call, host_id: int, keys: list[Key]) -> None:
    """The computer's policy decides these again."""
    call.back.services.computers.update(call.asks, str(host_id), ComputerChange(inherit=_fields(keys)))


@operation()
def security_profile_setting_get(
    call: Call, security_profile_id: int, keys: list[Key]
) -> list[EditableSettingStoredTransport]:
    """What a policy says, inherited values included."""
    view = call.back.services.policies.get(call.asks, security_profile_id)
    return [_shown(key, view.effective, Scope.PROFILE) for key in keys]


@operation()
def security_profile_setting_set(
    call: Call, security_profile_id: int, editable_settings: list[EditableSettingTransport]
) -> None:
    """Values of a policy; empty or 0 inherits."""
    values, inherit = _parsed(editable_settings)
    call.back.services.policies.update(call.asks, security_profile_id, values, inherit=inherit)


@operation()
def security_profile_setting_clear(call: Call, security_profile_id: int, keys: list[Key]) -> None:
    """The parent policy decides these again."""
    call.back.services.policies.update(call.asks, security_profile_id, PolicyValues(), inherit=_fields(keys))


@operation()
def system_setting_get(call: Call, keys: list[Key]) -> list[EditableSettingStoredTransport]:
    """Settings of the manager; those of agents are the base policy's."""
    base = next(view for view in call.back.services.policies.list(call.asks) if view.parent_id is None)
    return [_system(key) or _shown(key, base.effective, Scope.SYSTEM) for key in keys]


def _system(key: Key) -> EditableSettingStoredTransport | None:
    # What is always so here: this very answer came through the web service, and a token activates any computer.
    if key in (Key.CONFIGURATION_WEBSERVICEAPIENABLED, Key.CONFIGURATION_AGENTINITIATEDACTIVATION):
        return EditableSettingStoredTransport(key, Unit.NONE, "true", Scope.SYSTEM)
    return None


@operation()
def system_setting_set(call: Call, editable_settings: list[EditableSettingTransport]) -> None:
    """Sets the base policy's values; what is always so here can only be set to what it is."""
    given: list[EditableSettingTransport] = []
    for one in editable_settings:
        fixed = _system(one.setting_key)
        if fixed is None:
            given.append(one)
        elif (one.setting_value or "").strip().lower() != fixed.setting_value:
            raise BadInput(f"{one.setting_key.value} is always {fixed.setting_value} here; nothing was changed")
    if given:
        base = next(view for view in call.back.services.policies.list(call.asks) if view.parent_id is None)
        values, inherit = _parsed(given)
        if inherit:
            raise BadInput("the base policy inherits from nobody; nothing was changed")
        call.back.services.policies.update(call.asks, base.id, values)
