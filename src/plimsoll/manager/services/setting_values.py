"""Values of settings as the reference writes them, for REST and SOAP alike. Pure.

REST names a setting and gives a text (``"10 Minutes"``), SOAP a number with a unit beside it; both mean fields of
`PolicyValues`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from plimsoll.manager.ports import BadInput, NotFound
from plimsoll.manager.services.policy_rules import MISSED, PolicyValues
from plimsoll.messages import Direction

#: Seconds in a unit; the words of REST, in which SOAP's units are the plurals in capitals.
UNITS: Mapping[str, int] = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}

#: As SOAP numbers them.
DIRECTIONS: Mapping[str, Direction] = {
    "1": Direction.AGENT_INITIATED,
    "2": Direction.MANAGER_INITIATED,
    "3": Direction.BIDIRECTIONAL,
}
_DIRECTION_NAMES: Mapping[Direction, str] = {
    Direction.AGENT_INITIATED: "Agent/Appliance Initiated",
    Direction.MANAGER_INITIATED: "Manager Initiated",
    Direction.BIDIRECTIONAL: "Bidirectional",
}
_UNLIMITED = "Unlimited"
_DURATION = re.compile(r"([0-9]{1,9})\s*(second|minute|hour|day)?s?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting that is a value of a policy: its field there, how it is shown, and how it is read."""

    field: str
    show: Callable[[PolicyValues], str | None]
    read: Callable[[str, str], PolicyValues]


def whole_number(name: str, text: str) -> int:
    """Raises BadInput for what is none."""
    text = text.strip()
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise BadInput(f"{name} is a number, not {text!r}; nothing was changed")
    return int(text)


def duration(name: str, text: str) -> int:
    """In seconds. A number alone is minutes. Raises BadInput."""
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        raise BadInput(f"{name} is a time like '10 Minutes', not {text!r}; nothing was changed")
    return int(found[1]) * UNITS[(found[2] or "minute").lower()]


def spoken(seconds: int) -> str:
    """``600`` as ``10 Minutes``: in minutes where that is a whole number, which is how programs compare."""
    unit = "minute" if seconds % 60 == 0 else "second"
    count = seconds // UNITS[unit]
    return f"{count} {unit.capitalize()}" + ("" if count == 1 else "s")


def direction(name: str, text: str) -> Direction:
    """By the reference's words, SOAP's numbers or ours. Raises BadInput."""
    wanted = re.sub("[^a-z0-9]", "", text.lower())
    for number, one in DIRECTIONS.items():
        if wanted in (number, *(re.sub("[^a-z]", "", word.lower()) for word in (_DIRECTION_NAMES[one], one.value))):
            return one
    valid = ", ".join(_DIRECTION_NAMES.values())
    raise BadInput(f"{name} is one of {valid}, not {text!r}; nothing was changed")


def _show_heartbeat(values: PolicyValues) -> str | None:
    return None if values.heartbeat_seconds is None else spoken(values.heartbeat_seconds)


def _show_missed(values: PolicyValues) -> str | None:
    if values.missed_heartbeats is None:
        return None
    return _UNLIMITED if values.missed_heartbeats == MISSED[-1] else str(values.missed_heartbeats)


def _read_missed(name: str, text: str) -> PolicyValues:
    unlimited = text.strip().lower() == _UNLIMITED.lower()
    return PolicyValues(missed_heartbeats=MISSED[-1] if unlimited else whole_number(name, text))


#: Settings of computers and policies that mean something here.
SETTINGS: Mapping[str, Setting] = {
    "platformSettingHeartbeatInterval": Setting(
        "heartbeat_seconds",
        _show_heartbeat,
        lambda name, text: PolicyValues(heartbeat_seconds=duration(name, text)),
    ),
    "platformSettingHeartbeatMissedAlertThreshold": Setting("missed_heartbeats", _show_missed, _read_missed),
    "platformSettingAgentCommunicationsDirection": Setting(
        "direction",
        lambda values: None if values.direction is None else _DIRECTION_NAMES[values.direction],
        lambda name, text: PolicyValues(direction=direction(name, text)),
    ),
}

#: Whether a computer is a relay: its own host says it, no setting.
RELAY_STATE = "platformSettingRelayState"

#: How long a session may lie unused: a setting of the manager that means something here.
IDLE_TIMEOUT = "platformSettingUserSessionIdleTimeout"
#: Seconds. A use is noted to the minute, so that less than five minutes would end sessions that are in use; more than
#: the eight hours after which a session ends anyway would say nothing.
IDLE_LEAST, IDLE_MOST = 300, 8 * 3600


def idle_timeout(text: str) -> int:
    """Seconds. Raises BadInput for what is no time, or is out of bounds."""
    seconds = duration(IDLE_TIMEOUT, text)
    if not IDLE_LEAST <= seconds <= IDLE_MOST:
        raise BadInput(
            f"{IDLE_TIMEOUT} is {spoken(IDLE_LEAST)} to {spoken(IDLE_MOST)}, not {text!r}; nothing was changed"
        )
    return seconds


#: What a setting is that nobody has set; all others are empty.
_UNSET: Mapping[str, str] = {
    IDLE_TIMEOUT: "30 Minutes",
    "platformSettingHeartbeatLocalTimeShiftAlertThreshold": _UNLIMITED,
    "platformSettingAgentSelfProtectionEnabled": "false",
    "platformSettingAutoUpdateAntiMalwareEngineEnabled": "false",
    "platformSettingUpdateRelaySecuritySupportAgent9AndEarlierEnabled": "false",
}
#: Those that are shown although nobody has set them: with the manager's settings, and with every policy and computer.
SYSTEM_SHOWN = (IDLE_TIMEOUT, "platformSettingUpdateRelaySecuritySupportAgent9AndEarlierEnabled")
SHOWN = tuple(name for name in _UNSET if name not in SYSTEM_SHOWN)

#: Names of settings that programs put secrets of other systems into: those are not kept.
_SECRET = re.compile("password|passphrase|secret|token|privatekey|credential", re.IGNORECASE)

_KEPT = re.compile(
    "(?:platform|antiMalware|webReputation|firewall|intrusionPrevention|integrityMonitoring|logInspection"
    "|applicationControl|activityMonitoring|deviceControl|sap)Setting[A-Z][A-Za-z0-9]{0,150}"
)


def may_be_kept(name: str) -> bool:
    """Whether a name is one that the reference could have: its value is kept, and nothing here depends on it.

    Names of passwords and keys are not: nobody should leave one here for nothing.
    """
    return not _SECRET.search(name) and _KEPT.fullmatch(name) is not None


def no_setting(name: str) -> NotFound:
    return NotFound(
        f"there is no setting {name[:200]!r}, and none of that name is kept (passwords never are); nothing was changed"
    )


def unset(name: str) -> str:
    return _UNSET.get(name, "")
