"""Resources that the reference has and that stand apart from the rest: scheduled tasks, and what is fixed or empty."""

from __future__ import annotations

from typing import Annotated, NotRequired

from pydantic import Field

from plimsoll.manager.api.shapes.base import Milliseconds, OneOf, Shape, Who
from plimsoll.manager.schedules import DAILY, DAYS, MONTHLY, MONTHS, RECURRENCES, WEEKS
from plimsoll.manager.services.tasks import FILTERS, TYPES


class OnceOnly(Shape):
    startTime: Milliseconds


class Hourly(Shape):
    minutesPastTheHour: Annotated[int, Field(ge=0, le=59)]


class Daily(Shape):
    startTime: Milliseconds
    frequencyType: Annotated[str, OneOf(*DAILY)]
    customInterval: NotRequired[int]


class Weekly(Shape):
    startTime: Milliseconds
    interval: int
    days: list[Annotated[str, OneOf(*DAYS)]]


class Monthly(Shape):
    startTime: Milliseconds
    frequencyType: Annotated[str, OneOf(*MONTHLY)]
    dayOfMonth: NotRequired[int]
    weekOfTheMonth: NotRequired[Annotated[str, OneOf(*WEEKS)]]
    dayOfTheWeek: NotRequired[Annotated[str, OneOf(*DAYS)]]
    months: list[Annotated[str, OneOf(*MONTHS)]]


class ScheduleDetails(Shape):
    """The part that belongs to `recurrenceType` is there, and no other."""

    timeZone: str
    recurrenceType: Annotated[str, OneOf(*RECURRENCES)]
    recurrenceCount: NotRequired[int]
    onceOnlyScheduleParameters: NotRequired[OnceOnly]
    hourlyScheduleParameters: NotRequired[Hourly]
    dailyScheduleParameters: NotRequired[Daily]
    weeklyScheduleParameters: NotRequired[Weekly]
    monthlyScheduleParameters: NotRequired[Monthly]


class ComputerFilter(Shape):
    type: Annotated[str, OneOf(*FILTERS)]
    computerID: NotRequired[int]
    computerGroupID: NotRequired[int]
    policyID: NotRequired[int]


class SendPolicyTaskParameters(Shape):
    computerFilter: ComputerFilter


class ScheduledTask(Shape):
    """`runNow` is true until it has run. Ours: `lastRunOk`, `lastRunText`, `runs`, `createdBy`."""

    ID: int
    name: str
    type: Annotated[str, OneOf(*TYPES)]
    scheduleDetails: ScheduleDetails
    enabled: bool
    lastRunTime: Milliseconds | None
    nextRunTime: Milliseconds | None
    runNow: bool
    sendPolicyTaskParameters: NotRequired[SendPolicyTaskParameters]
    lastRunOk: bool | None
    lastRunText: str
    runs: int
    createdBy: Who


class ScheduledTasks(Shape):
    scheduledTasks: list[ScheduledTask]


class AvailableVersion(Shape):
    version: str
    isLatest: bool
    isLatestLTS: bool


class AgentVersionControl(Shape):
    """What a deployment script installs on such a system: the newest package that was imported for it."""

    ID: int
    os: Annotated[str, OneOf("linux", "windows")]
    distro: str
    platform: str
    architecture: str
    type: Annotated[str, OneOf("latest")]
    version: str
    availableVersions: list[AvailableVersion]


class AgentVersionControls(Shape):
    agentVersionControls: list[AgentVersionControl]


class AgentVersionControlProfile(Shape):
    """The one that there is."""

    ID: int
    name: Annotated[str, OneOf("Default")]
    description: str


class AgentVersionControlProfiles(Shape):
    agentVersionControlProfiles: list[AgentVersionControlProfile]


class CertificateDetails(Shape):
    subject: str
    issuer: str
    names: list[str]
    validFrom: Milliseconds
    validTo: Milliseconds
    fingerprint: Annotated[str, Field(description="of the certificate, SHA-256")]
    key: str


class ReferenceCertificate(Shape):
    """A certificate that 4119 shows; none of other systems is kept here."""

    ID: int
    purpose: Annotated[str, OneOf("gui")]
    trusted: bool
    certificateDetails: CertificateDetails


class Certificates(Shape):
    certificates: list[ReferenceCertificate]


class Nothing(Shape):
    """A kind of thing that this product does not have: no list of them ever has an entry."""


class EventBasedTasks(Shape):
    eventBasedTasks: Annotated[list[Nothing], Field(max_length=0)]


class Scripts(Shape):
    scripts: Annotated[list[Nothing], Field(max_length=0)]


class ApiUsageMetric(Shape):
    """What one user or key asked of this manager since its process began. Requests by the local socket do not count."""

    ID: int
    who: Who
    requests: int
    limited: Annotated[int, Field(description="how many of them were refused as too many")]
    first: Milliseconds
    last: Milliseconds


class ApiUsageMetrics(Shape):
    apiUsageMetrics: list[ApiUsageMetric]
