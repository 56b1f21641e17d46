"""The types that SOAP speaks, in the reference's names. Each is declared here and nowhere else."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import datetime


class EnumHostType(enum.StrEnum):
    """What a computer is."""

    STANDARD = "STANDARD"
    APPLIANCE = "APPLIANCE"
    ESX = "ESX"
    VM = "VM"


class EnumHostDetailLevel(enum.StrEnum):
    """How much of a computer is told. Ours tells the same at each: what it leaves out at LOW costs nothing to tell."""

    LOW = "LOW"
    MEDIUM = "MEDIUM"
    HIGH = "HIGH"


class EnumHostFilterType(enum.StrEnum):
    """Which computers are meant."""

    ALL_HOSTS = "ALL_HOSTS"
    HOSTS_IN_GROUP = "HOSTS_IN_GROUP"
    HOSTS_USING_SECURITY_PROFILE = "HOSTS_USING_SECURITY_PROFILE"
    HOSTS_IN_GROUP_AND_ALL_SUBGROUPS = "HOSTS_IN_GROUP_AND_ALL_SUBGROUPS"
    SPECIFIC_HOST = "SPECIFIC_HOST"
    MY_HOSTS = "MY_HOSTS"


class EnumHostLight(enum.StrEnum):
    """The colour beside a computer."""

    GREEN = "GREEN"
    YELLOW = "YELLOW"
    RED = "RED"
    GREY = "GREY"


class EnumTimeFilterType(enum.StrEnum):
    """Which time is meant."""

    LAST_HOUR = "LAST_HOUR"
    LAST_24_HOURS = "LAST_24_HOURS"
    LAST_7_DAYS = "LAST_7_DAYS"
    CUSTOM_RANGE = "CUSTOM_RANGE"
    SPECIFIC_TIME = "SPECIFIC_TIME"
    PREVIOUS_MONTH = "PREVIOUS_MONTH"


class EnumOperator(enum.StrEnum):
    """How an event's ID is compared."""

    GREATER_THAN = "GREATER_THAN"
    LESS_THAN = "LESS_THAN"
    EQUAL = "EQUAL"


class EnumEventOrigin(enum.StrEnum):
    """Who noticed an event."""

    UNKNOWN = "UNKNOWN"
    AGENT = "AGENT"
    GUESTAGENT = "GUESTAGENT"
    APPLIANCEAGENT = "APPLIANCEAGENT"
    MANAGER = "MANAGER"


class EnumJobType(enum.StrEnum):
    """A job whose progress is asked for. UPDATE is Send Policy."""

    UPDATE = "UPDATE"
    ACTIVATE = "ACTIVATE"
    DEACTIVATE = "DEACTIVATE"


class EnumEditableSettingUnit(enum.StrEnum):
    """What a setting's value counts."""

    NONE = "NONE"
    SECONDS = "SECONDS"
    MINUTES = "MINUTES"
    HOURS = "HOURS"
    DAYS = "DAYS"
    PORT = "PORT"


class EnumEditableSettingKey(enum.StrEnum):
    """The settings that mean something here."""

    CONFIGURATION_RELAYSTATE = "CONFIGURATION_RELAYSTATE"
    CONFIGURATION_AGENTCOMMUNICATIONS = "CONFIGURATION_AGENTCOMMUNICATIONS"
    CONFIGURATION_DEFAULTHEARTBEATPERIOD = "CONFIGURATION_DEFAULTHEARTBEATPERIOD"
    CONFIGURATION_MAXMISSEDHEARTBEATS = "CONFIGURATION_MAXMISSEDHEARTBEATS"
    CONFIGURATION_WEBSERVICEAPIENABLED = "CONFIGURATION_WEBSERVICEAPIENABLED"
    CONFIGURATION_AGENTINITIATEDACTIVATION = "CONFIGURATION_AGENTINITIATEDACTIVATION"


@dataclass(frozen=True, slots=True)
class HostTransport:
    """A computer. A relay is a STANDARD one whose CONFIGURATION_RELAYSTATE is true."""

    id: int | None = None
    description: str | None = None
    name: str | None = None
    display_name: str | None = None
    external: bool | None = None
    external_id: str | None = None
    host_group_id: int | None = None
    host_type: EnumHostType | None = None
    platform: str | None = None
    security_profile_id: int | None = None


@dataclass(frozen=True, slots=True)
class HostDetailTransport:
    """A computer with what is known of it."""

    id: int
    description: str | None
    name: str
    display_name: str | None
    external: bool
    external_id: str | None
    host_group_id: int | None
    host_type: EnumHostType
    platform: str | None
    security_profile_id: int | None
    cloud_object_internal_unique_id: str | None = field(metadata={"wire": "cloudObjectInternalUniqueId"})
    host_group_name: str | None
    host_light: EnumHostLight
    last_ip_used: str | None
    locked: bool
    overall_last_successful_communication: datetime | None
    overall_last_successful_update: datetime | None
    overall_last_update_required: datetime | None
    overall_status: str
    overall_version: str | None
    security_profile_name: str | None


@dataclass(frozen=True, slots=True)
class HostStatusTransport:
    """How a computer is."""

    overall_last_successful_communication: datetime | None
    overall_last_successful_update: datetime | None
    overall_last_update_required: datetime | None
    overall_status: str


@dataclass(frozen=True, slots=True)
class HostStatusSummaryTransport:
    """How many computers are how."""

    critical_hosts: int
    online_hosts: int
    unmanage_hosts: int
    warning_hosts: int


@dataclass(frozen=True, slots=True)
class HostFilterTransport:
    """Which computers: the id that `type` asks for."""

    type: EnumHostFilterType
    host_group_id: int | None = None
    host_id: int | None = None
    security_profile_id: int | None = None


@dataclass(frozen=True, slots=True)
class HostGroupTransport:
    """A computer group."""

    id: int | None = None
    description: str | None = None
    name: str | None = None
    parent_group_id: int | None = None


@dataclass(frozen=True, slots=True)
class HostJobProgressTransport:
    """How many of the computers asked for are done, and how many are not."""

    complete: int
    error: int
    pending: int
    unable: int


@dataclass(frozen=True, slots=True)
class SecurityProfileTransport:
    """A policy."""

    id: int | None = None
    description: str | None = None
    name: str | None = None
    parent_security_profile_id: int | None = None


@dataclass(frozen=True, slots=True)
class EditableSettingTransport:
    """A setting with its value and what that counts."""

    setting_key: EnumEditableSettingKey
    setting_unit: EnumEditableSettingUnit
    setting_value: str | None = None


class EnumEditableSettingStoredScope(enum.StrEnum):
    """Where a value that holds comes from."""

    HOST = "HOST"
    PROFILE = "PROFILE"
    SYSTEM = "SYSTEM"


@dataclass(frozen=True, slots=True)
class EditableSettingStoredTransport:
    """A setting that holds, and where it comes from."""

    setting_key: EnumEditableSettingKey
    setting_unit: EnumEditableSettingUnit
    setting_value: str | None
    setting_scope: EnumEditableSettingStoredScope


@dataclass(frozen=True, slots=True)
class TimeFilterTransport:
    """Which time: `range_from` and `range_to` for CUSTOM_RANGE, `specific_time` for SPECIFIC_TIME."""

    type: EnumTimeFilterType
    range_from: datetime | None = None
    range_to: datetime | None = None
    specific_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class IDFilterTransport:
    """Which event ids."""

    id: int = field(metadata={"wire": "id"})
    operator: EnumOperator


@dataclass(frozen=True, slots=True)
class SystemEventTransport:
    """An event."""

    action_performed_by: str
    description: str
    event: str
    event_id: int
    event_origin: EnumEventOrigin
    manager_hostname: str
    system_event_id: int
    tags: str
    target: str
    target_id: int | None
    target_type: str
    time: datetime
    type: str


@dataclass(frozen=True, slots=True)
class ArrayOfSystemEventTransport:
    """Events, one an item."""

    item: list[SystemEventTransport] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class SystemEventListTransport:
    """A page of events; `truncated` where there are more."""

    truncated: bool
    system_events: ArrayOfSystemEventTransport


@dataclass(frozen=True, slots=True)
class SoftwareTransport:
    """A software package in the manager's repository."""

    id: int
    description: str
    fingerprint: str
    name: str
    platform: str
    version: str
    imported: datetime


@dataclass(frozen=True, slots=True)
class AlertStatusTransport:
    """Something that needs a person now."""

    id: int
    name: str
    severity: str
    description: str
    time: datetime


@dataclass(frozen=True, slots=True)
class StatusSummaryTransport:
    """The fleet in a few figures."""

    critical_alerts: int
    warning_alerts: int
    host_status_summary: HostStatusSummaryTransport
