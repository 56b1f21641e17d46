"""What goes into REST and comes out of it. Written from the description of REST by `make reference`; changes here are lost."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict


class Advice(TypedDict):
    """Which of the guide's four cases this fleet is."""

    case: int
    title: str
    recommended: str
    alternative: str
    deciding: list[Deciding]


class AgentVersionControl(TypedDict):
    """What a deployment script installs on such a system: the newest package that was imported for it."""

    ID: int
    os: Literal["linux", "windows"]
    distro: str
    platform: str
    architecture: str
    type: Literal["latest"]
    version: str
    availableVersions: list[AvailableVersion]


class AgentVersionControlProfile(TypedDict):
    """The one that there is."""

    ID: int
    name: Literal["Default"]
    description: str


class AgentVersionControlProfiles(TypedDict):
    agentVersionControlProfiles: list[AgentVersionControlProfile]


class AgentVersionControls(TypedDict):
    agentVersionControls: list[AgentVersionControl]


class ApiKey(TypedDict):
    """An API key, without its secret. `lastTLS`, `lastJA4`, `lastAddress`: of the newest noted connection with
    it.
    """

    ID: int
    keyName: str
    description: str
    locale: Literal["en-US", "ja-JP"]
    roleID: int
    timeZone: str
    active: bool
    created: int
    lastSignIn: int | None
    unlockTime: int | None
    unsuccessfulSignInAttempts: int
    expiryDate: int | None
    serviceAccount: bool
    name: str
    role: Literal["administrator", "operator", "auditor"]
    expires: float | None
    lastUsed: float | None
    createdBy: str
    lastAddress: str | None
    lastTLS: Literal["SSLv2", "SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"] | None
    lastJA4: str | None


class ApiKeys(TypedDict):
    apiKeys: list[ApiKey]


class ApiUsageMetric(TypedDict):
    """What one user or key asked of this manager since its process began. Requests by the local socket do not
    count.
    """

    ID: int
    who: str
    requests: int
    limited: int
    first: int
    last: int


class ApiUsageMetrics(TypedDict):
    apiUsageMetrics: list[ApiUsageMetric]


class Audit(TypedDict):
    audit: list[AuditEntry]


class AuditChain(TypedDict):
    """Whether every entry since the anchor still is what it was when it was written."""

    ok: bool
    entries: int
    since: ChainEnd | None
    head: ChainEnd | None
    faults: list[ChainFault]
    faultsFound: int


class AuditEntry(TypedDict):
    """Who did what, through which door and from where, with the values before and after it."""

    ID: int
    time: float
    who: str
    via: str
    address: str
    action: str
    target: str
    before: Any
    after: Any


class Authority(TypedDict):
    """One CA that is trusted. `keyHash` is what activation tokens carry, `issues` whether it signs new
    certificates.
    """

    fingerprint: str
    keyHash: str
    notBefore: float
    notAfter: float
    issues: bool
    certificate: str
    advice: str


class AvailableVersion(TypedDict):
    version: str
    isLatest: bool
    isLatestLTS: bool


class Blocked(TypedDict):
    """A raise that would cut parts off, and whom."""

    message: str
    blockers: list[Finding]
    affected: list[Finding]
    preflight: Preflight


class Ca(TypedDict):
    authorities: list[Authority]
    rotation: Rotation | None


class Certificate(TypedDict):
    """A certificate that 4119 shows. `own` ones were set by an administrator; `chain` counts what is sent."""

    own: bool
    subject: str
    issuer: str
    names: list[str]
    key: str
    notBefore: float
    notAfter: float
    fingerprint: str
    chain: int


class CertificateBody(TypedDict):
    """PEM, the leaf first. Without a key: that of the last request."""

    certificate: str
    key: NotRequired[str | None]
    passphrase: NotRequired[str | None]


class CertificateDetails(TypedDict):
    subject: str
    issuer: str
    names: list[str]
    validFrom: int
    validTo: int
    fingerprint: str
    key: str


class CertificateRequest(TypedDict):
    csr: str


class ChainEnd(TypedDict):
    entry: int
    hash: str
    time: float
    why: str


class ChainFault(TypedDict):
    entry: int
    text: str


class Change(TypedDict):
    """A staged change as it stands. `soaked` of `soak` seconds have gone by in this stage with all rules kept."""

    id: int
    created: float
    who: str
    to: Literal["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"]
    direction: Literal["raise", "lower"]
    state: Literal["awaiting approval", "scheduled", "running", "paused", "halted", "aborted", "done", "taken back"]
    stage: Literal[
        "preflight", "shadow", "relay canary", "relays", "agents", "heartbeat canary", "heartbeat", "gui", "proof"
    ]
    stages: list[
        Literal[
            "preflight", "shadow", "relay canary", "relays", "agents", "heartbeat canary", "heartbeat", "gui", "proof"
        ]
    ]
    entered: float
    soaked: float
    soak: float
    text: str
    figures: list[Figure]
    points: list[Literal["heartbeat", "gui", "relay", "agent"]]
    options: ChangeOptions
    canary: list[str]
    approvedBy: str | None
    ended: float | None
    proof: ChangeProof | None
    log: list[Logged]


class ChangeOptions(TypedDict):
    """How it was asked to go."""

    points: list[Literal["heartbeat", "gui", "relay", "agent"]]
    soak: float
    canary: str
    lowers: bool
    forced: bool
    reason: str | None
    accepted: Any
    named: dict[str, list[str]]
    at: float | None
    freeze: list[str]
    approval: bool


class ChangeProof(TypedDict):
    """What handshakes showed at its end."""

    verdict: Literal["proved", "violated", "not proved"]
    time: float
    places: list[dict[str, Any]]


class ChangedEndpoint(TypedDict):
    target: str
    changes: list[ScanChange]


class Changes(TypedDict):
    changes: list[Change]


class ChangesStartBody(TypedDict):
    """`canary` is a share (5%), a number, group:NAME or policy:NAME; `at` is in seconds since the epoch."""

    to: str
    points: NotRequired[list[str]]
    soak: NotRequired[float]
    canary: NotRequired[str]
    acceptAffected: NotRequired[bool]
    force: NotRequired[bool]
    reason: NotRequired[str | None]
    seen: NotRequired[list[str] | None]
    at: NotRequired[float | None]
    freeze: NotRequired[list[str]]
    approval: NotRequired[bool]


class CheckBody(TypedDict):
    signature: str


class Checked(TypedDict):
    """The package that is here already, null where it may come."""

    known: Package | None


class CheckedDatabase(TypedDict):
    """A database of another kind, as it answered. `blocks` is true of an SQL Server whose TLS ends below 1.2."""

    address: str
    engine: Literal["sqlserver", "oracle"]
    time: float
    encrypted: bool
    accepted: list[Literal["SSLv2", "SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"]]
    blocks: bool
    text: str


class CipherChange(TypedDict):
    """What was changed. `preflight` is null where no profile became stricter."""

    changed: list[Exchanged]
    preflight: Preflight | None
    generation: int


class CipherHistory(TypedDict):
    history: list[CipherHistoryEntry]


_CipherHistoryEntry = TypedDict(
    "_CipherHistoryEntry", {"from": 'Literal["strong", "modern", "intermediate", "legacy"]'}
)


class CipherHistoryEntry(_CipherHistoryEntry):
    """One change of one profile. `named` are those that were cut off knowingly."""

    to: Literal["strong", "modern", "intermediate", "legacy"]
    time: float
    point: Literal["heartbeat", "gui", "relay", "agent"]
    who: str
    via: str
    address: str
    forced: bool
    reason: str | None
    named: list[str]


class Ciphers(TypedDict):
    """The manager's own ports, and what each profile has at TLS 1.2."""

    points: list[PointCiphers]
    profiles: dict[str, list[str]]


class Computer(TypedDict):
    """A machine of the fleet. `floorHeld` is the floor of its own port by what it was sent, kept or came with.
    What may be missing comes where `expand` names it.
    """

    ID: int
    hostGUID: str
    hostName: str
    displayName: str
    description: str
    kind: Literal["agent", "relay", "appliance"]
    agentVersion: str
    platform: str
    architecture: str
    groupID: int | None
    relayListID: int | None
    relayGroup: str | None
    policyID: int
    policy: str
    lastIPUsed: str
    lastAgentCommunication: int | None
    activated: int | None
    state: Literal["active", "approval", "revoked"]
    computerStatus: ComputerStatus
    tls: ComputerTls
    policySent: int | None
    policySentAt: int | None
    policyHeld: bool
    policyPending: bool
    floorHeld: Literal["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"] | None
    floorOrigin: str | None
    guards: list[str]
    listenPort: int | None
    relayPort: int | None
    agentFingerPrint: str
    certificateExpires: int | None
    assetImportanceID: int | None
    applianceFingerPrint: str | None
    lastApplianceCommunication: int | None
    lastSendPolicyRequest: int | None
    lastSendPolicySuccess: int | None
    tasks: NotRequired[ComputerTasks]
    computerSettings: NotRequired[dict[str, SettingValue]]
    interfaces: NotRequired[Interfaces]
    securityUpdates: NotRequired[SecurityUpdates]
    antiMalware: NotRequired[Module]
    webReputation: NotRequired[Module]
    activityMonitoring: NotRequired[Module]
    firewall: NotRequired[Module]
    intrusionPrevention: NotRequired[Module]
    integrityMonitoring: NotRequired[Module]
    logInspection: NotRequired[Module]
    applicationControl: NotRequired[Module]
    SAP: NotRequired[Module]


class ComputerBody(TypedDict):
    """A field that is missing stays as it is; 0 takes a computer out of its group. A computer as a GET gave it
    is taken back: what is read only in it is passed over, and what it holds anyway is left as it is.
    """

    ID: NotRequired[Any]
    displayName: NotRequired[str | None]
    description: NotRequired[str | None]
    groupID: NotRequired[int | None]
    policy: NotRequired[str | None]
    policyID: NotRequired[int | None]
    relayGroup: NotRequired[str | None]
    relayListID: NotRequired[int | None]
    guards: NotRequired[list[str] | None]
    computerSettings: NotRequired[dict[str, str]]


class ComputerFilter(TypedDict):
    type: Literal[
        "all-computers",
        "computer",
        "computers-in-group",
        "computers-in-group-or-subgroup",
        "computers-using-policy",
        "computers-using-policy-or-subpolicy",
    ]
    computerID: NotRequired[int]
    computerGroupID: NotRequired[int]
    policyID: NotRequired[int]


class ComputerGroup(TypedDict):
    """A folder for computers. Without a parent it is at the top; `computers` counts its own members."""

    ID: int
    name: str
    description: str
    parentGroupID: int | None
    computers: int


class ComputerGroups(TypedDict):
    computerGroups: list[ComputerGroup]


class ComputerStatus(TypedDict):
    """The appliance's part is that of an appliance's embedded agent; other computers have none."""

    agentStatus: Literal["inactive", "active", "warning", "error", "not-supported"]
    agentStatusMessages: list[str]
    applianceStatus: Literal["inactive", "active", "warning", "error", "not-supported"]
    applianceStatusMessages: list[str]


class ComputerTasks(TypedDict):
    """What was ordered and is not done yet."""

    agentTasks: list[str]
    applianceTasks: list[str]


class ComputerTls(TypedDict):
    """What it offered and settled on in its last handshake, and what its library speaks by its own account."""

    offered: Literal["SSLv2", "SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"] | None
    negotiated: Literal["SSLv2", "SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"] | None
    observedAt: float | None
    ja4: str
    library: str
    speaks: list[Literal["SSLv2", "SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"]]


class Computers(TypedDict):
    computers: list[Computer]


class ConfirmBody(TypedDict):
    code: str


class Counted(TypedDict):
    known: int
    online: int


class CurrentApiKey(TypedDict):
    """The key that asks."""

    ID: int
    keyName: str
    description: str
    locale: Literal["en-US", "ja-JP"]
    roleID: int
    timeZone: str
    active: bool
    created: int
    lastSignIn: int | None
    unlockTime: int | None
    unsuccessfulSignInAttempts: int
    expiryDate: int | None
    serviceAccount: bool
    name: str
    role: Literal["administrator", "operator", "auditor"]
    expires: float | None
    lastUsed: float | None
    createdBy: str
    lastAddress: str | None
    lastTLS: Literal["SSLv2", "SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"] | None
    lastJA4: str | None
    roleURN: str
    tenantID: int
    tenantGUID: str


class Daily(TypedDict):
    startTime: int
    frequencyType: Literal["everyday", "weekdays", "custom"]
    customInterval: NotRequired[int]


class Database(TypedDict):
    """What is not known, or means nothing of a file, is left out."""

    engine: Literal["sqlite", "postgresql"]
    address: NotRequired[str]
    state: Literal["reachable", "unreachable"]
    problem: NotRequired[str]
    server: NotRequired[str]
    connection: NotRequired[Literal["encrypted", "local", "not encrypted"]]
    protection: NotRequired[str]
    cipher: NotRequired[str]
    sslmode: NotRequired[str]
    encryptionAsked: NotRequired[bool]
    checked: NotRequired[Literal["nothing", "certificate", "certificate and name", "Kerberos"]]
    advice: NotRequired[str]
    warning: NotRequired[str]


class DatabaseBody(TypedDict):
    """``sqlserver://host:port`` or ``oracle://host:port``."""

    address: str


class DatabaseReport(TypedDict):
    """The manager's own database, and those of other kinds that were checked."""

    engine: Literal["sqlite", "postgresql"]
    address: NotRequired[str]
    state: Literal["reachable", "unreachable"]
    problem: NotRequired[str]
    server: NotRequired[str]
    connection: NotRequired[Literal["encrypted", "local", "not encrypted"]]
    protection: NotRequired[str]
    cipher: NotRequired[str]
    sslmode: NotRequired[str]
    encryptionAsked: NotRequired[bool]
    checked: NotRequired[Literal["nothing", "certificate", "certificate and name", "Kerberos"]]
    advice: NotRequired[str]
    warning: NotRequired[str]
    checkedDatabases: list[CheckedDatabase]


class Deciding(TypedDict):
    """A part that decided."""

    who: str
    kind: str
    version: str | None
    why: str


class Deployable(TypedDict):
    """A package, and what keeps it from being deployed under the floors of now."""

    package: Package
    speaks: Literal["SSLv2", "SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"]
    deployable: bool
    obstacles: list[Obstacle]


class Deployables(TypedDict):
    packages: list[Deployable]


class Drift(TypedDict):
    """A hand edit of `protocols=` that is not in force yet. `floor` is null where it cannot be read."""

    in_file: str | None
    in_force: str | None
    floor: Literal["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"] | None
    message: str


class Empty(TypedDict):
    """Nothing but that it was done."""


class EndedSessions(TypedDict):
    ended: int


class Enrolment(TypedDict):
    secret: str
    uri: str


class EnrolmentBody(TypedDict):
    password: str


class Event(TypedDict):
    ID: int
    time: float
    number: int
    name: str
    level: Literal["info", "warning", "error"]
    description: str
    computer: str | None
    target: str
    origin: str
    extra: dict[str, Any]


class EventBasedTasks(TypedDict):
    eventBasedTasks: list[Nothing]


class Events(TypedDict):
    events: list[Event]


class ExceptionBody(TypedDict):
    """One of `source` (an address or a network) and `computer`. `until` is in seconds since the epoch."""

    floor: str
    point: NotRequired[str]
    source: NotRequired[str | None]
    computer: NotRequired[int | str | None]
    until: NotRequired[float | None]
    reason: NotRequired[str | None]


class Exceptions(TypedDict):
    exceptions: list[Excused]


_Exchanged = TypedDict("_Exchanged", {"from": 'Literal["strong", "modern", "intermediate", "legacy"]'})


class Exchanged(_Exchanged):
    """A point whose cipher profile is another one now."""

    to: Literal["strong", "modern", "intermediate", "legacy"]
    point: Literal["heartbeat", "gui", "relay", "agent"]


class Excused(TypedDict):
    """An exception: a source or a computer that may stay below a floor until then."""

    id: int
    point: Literal["heartbeat", "gui", "relay", "agent"]
    floor: Literal["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"]
    source: str | None
    computer: str | None
    name: str | None
    until: float
    reason: str
    who: str
    created: float
    ended: float | None
    state: Literal["in force", "waiting", "ended"]


class FactorBody(TypedDict):
    """What shows that it is really the person, and not somebody at an open page."""

    password: str
    code: str


class Figure(TypedDict):
    """A health rule: its value beside its limit, in words, and what a breach leads to."""

    rule: str
    value: str
    limit: str
    ok: bool
    breach: str
    evidence: list[str]


class FilterBody(TypedDict):
    """Whom it concerns; all computers where nothing is said."""

    type: NotRequired[str | None]
    computerID: NotRequired[int | None]
    computerGroupID: NotRequired[int | None]
    policyID: NotRequired[int | None]


class Finding(TypedDict):
    """A part or program that a raise concerns. `since` is since when the fact that decided is known to hold."""

    id: str
    who: str
    kind: str
    version: str | None
    address: str | None
    last_seen: float | None
    reason: str
    certainty: Literal["seen-offering", "seen-refused", "tabled", "never-seen", "configured"]
    evidence: str
    remedy: str
    point: Literal["heartbeat", "gui", "relay", "agent"]
    points: list[Literal["heartbeat", "gui", "relay", "agent"]]
    since: float | None
    ways: list[Way]


class FloorBody(TypedDict):
    floor: str
    force: NotRequired[bool]
    reason: NotRequired[str | None]
    seen: NotRequired[list[str] | None]
    point: NotRequired[str]


class FloorChange(TypedDict):
    """What was changed, and who waits for Send Policy until it holds for them too."""

    changed: list[Moved]
    preflight: Preflight | None
    policies_pending: int
    generation: int
    warnings: list[str]


class Floors(TypedDict):
    """All floors in force. `generation` counts every change of any of them."""

    generation: int
    floors: list[PointFloor]
    drift: Drift | None
    minimum: Literal["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"]


class FullPolicy(TypedDict):
    """`policySettings` are what holds, inherited or not; with `overrides` only what is the policy's own."""

    relayFloor: Literal["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"] | None
    agentFloor: Literal["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"] | None
    heartbeatSeconds: int | None
    missedHeartbeats: int | None
    direction: Literal["agent-initiated", "bidirectional", "manager-initiated"] | None
    autoSend: bool | None
    ID: int
    name: str
    parent: str | None
    generation: int
    own: Values
    computers: int
    pending: int
    parentID: int | None
    description: str
    autoRequiresUpdate: Literal["on", "off"]
    recommendationScanMode: Literal["off"]
    policySettings: dict[str, SettingValue]


class GroupBody(TypedDict):
    """What is missing stays as it is; `parentGroupID` 0 is the top."""

    name: NotRequired[str | None]
    description: NotRequired[str | None]
    parentGroupID: NotRequired[int | None]


class History(TypedDict):
    history: list[HistoryEntry]


_HistoryEntry = TypedDict("_HistoryEntry", {"from": 'Literal["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"] | None'})


class HistoryEntry(_HistoryEntry):
    """One move of one floor. `named` are those that were cut off knowingly."""

    to: Literal["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"]
    generation: int
    time: float
    point: Literal["heartbeat", "gui", "relay", "agent"]
    who: str
    via: str
    address: str
    cause: str
    forced: bool
    reason: str | None
    named: list[str]


class Hourly(TypedDict):
    minutesPastTheHour: int


class Imported(TypedDict):
    id: int
    product: str
    version: str
    platform: str
    architecture: str
    file: str
    length: int
    sha256: str
    target: str
    key: str
    signature: str
    imported: float
    who: str
    origin: str
    held: bool
    new: bool


class ImportedBundle(TypedDict):
    software: list[Imported]


class Interfaces(TypedDict):
    """Interfaces are not told by agents here: always empty."""

    interfaces: list[str]


class Judged(TypedDict):
    """What a profile says, and why it does not hold or is not proved."""

    profile: str
    verdict: Literal["holds", "not proved", "does not hold"]
    reasons: list[str]


class KeyBody(TypedDict):
    """The reference's fields; `name`, `role` and `expiresIn` (in seconds) are ours. What is missing stays."""

    keyName: NotRequired[str | None]
    description: NotRequired[str | None]
    locale: NotRequired[Literal["en-US", "ja-JP"] | None]
    roleID: NotRequired[int | None]
    role: NotRequired[str | None]
    timeZone: NotRequired[str | None]
    active: NotRequired[bool | None]
    expiryDate: NotRequired[int | None]
    expiresIn: NotRequired[float | None]


class LeftOut(TypedDict):
    """A part of the fleet that could not be asked, and why."""

    name: str
    computer: str | None
    reason: str


_Link = TypedDict("_Link", {"from": "str"})


class Link(_Link):
    """Who talks to whom. `version` is what both settle on; null where refused, unknown or no TLS."""

    to: str
    point: Literal["heartbeat", "gui", "relay", "agent"] | None
    version: Literal["SSLv2", "SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"] | None
    state: Literal["talks", "refused", "unknown"]
    reason: str
    basis: Literal["seen", "tabled", "unknown"]
    count: int
    members: list[str]


class Logged(TypedDict):
    """What was done, and why."""

    time: float
    stage: str
    what: str
    text: str
    who: str


class ManagerCertificates(TypedDict):
    certificates: list[Certificate]


class Mark(TypedDict):
    """A point of every computer, or a computer with all of its ports."""

    id: int
    point: Literal["heartbeat", "gui", "relay", "agent"] | None
    computer: str | None
    name: str | None
    note: str
    who: str
    created: float


class Member(TypedDict):
    """How far a computer is. `trusts` are the CAs that it says it trusts, `shown` whose certificate it last
    showed.
    """

    computer: str
    name: str
    kind: Literal["agent", "relay", "appliance"]
    state: Literal["ready", "told", "too old", "offline"]
    online: bool
    lastSeen: float | None
    trusts: list[str]
    shown: str


class Members(TypedDict):
    computers: list[Member]


class Metadata(TypedDict):
    """The signed metadata (TUF). `problem` says why it could not be signed last time."""

    roles: list[MetadataRole]
    packages: int
    problem: str


class MetadataRole(TypedDict):
    role: str
    version: int
    expires: float
    keys: list[str]
    threshold: int
    here: bool


class Minimum(TypedDict):
    """What ShowValue shows: the lower of the floors of 4120 and 4119, and both."""

    heartbeat: Literal["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"]
    gui: Literal["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"]
    minimum: Literal["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"]


class MinimumBody(TypedDict):
    floor: str
    force: NotRequired[bool]
    reason: NotRequired[str | None]
    seen: NotRequired[list[str] | None]


class Module(TypedDict):
    """A protection module of the reference, which is no part of this product: always off."""

    state: Literal["off"]
    moduleStatus: ModuleStatus


class ModuleStatus(TypedDict):
    agentStatus: Literal["inactive", "active", "warning", "error", "not-supported"]
    agentStatusMessage: str


class Monthly(TypedDict):
    startTime: int
    frequencyType: Literal["day-of-month", "last-day-of-month", "day-of-week"]
    dayOfMonth: NotRequired[int]
    weekOfTheMonth: NotRequired[Literal["first", "second", "third", "fourth", "last"]]
    dayOfTheWeek: NotRequired[Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]]
    months: list[
        Literal[
            "january",
            "february",
            "march",
            "april",
            "may",
            "june",
            "july",
            "august",
            "september",
            "october",
            "november",
            "december",
        ]
    ]


_Moved = TypedDict("_Moved", {"from": 'Literal["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"]'})


class Moved(_Moved):
    """A point whose floor is another one now."""

    to: Literal["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"]
    point: Literal["heartbeat", "gui", "relay", "agent"]


class NewApiKey(TypedDict):
    ID: int
    keyName: str
    description: str
    locale: Literal["en-US", "ja-JP"]
    roleID: int
    timeZone: str
    active: bool
    created: int
    lastSignIn: int | None
    unlockTime: int | None
    unsuccessfulSignInAttempts: int
    expiryDate: int | None
    serviceAccount: bool
    name: str
    role: Literal["administrator", "operator", "auditor"]
    expires: float | None
    lastUsed: float | None
    createdBy: str
    lastAddress: str | None
    lastTLS: Literal["SSLv2", "SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"] | None
    lastJA4: str | None
    secretKey: str


class NewPolicyBody(TypedDict):
    relayFloor: NotRequired[str | None]
    agentFloor: NotRequired[str | None]
    heartbeatSeconds: NotRequired[int | None]
    missedHeartbeats: NotRequired[int | None]
    direction: NotRequired[str | None]
    autoSend: NotRequired[bool | None]
    ID: NotRequired[Any]
    parentID: NotRequired[int | None]
    description: NotRequired[str | None]
    autoRequiresUpdate: NotRequired[Literal["on", "off"] | None]
    policySettings: NotRequired[dict[str, str]]
    name: str
    parent: NotRequired[str | None]


class NewTarget(TypedDict):
    ID: int
    name: str
    kind: Literal["syslog", "webhook"]
    settings: dict[str, Any]
    level: Literal["info", "warning", "error"]
    numbers: list[int]
    active: bool
    created: float
    who: str
    delivered: float | None
    failingSince: float | None
    problem: str
    waiting: int
    secret: NotRequired[str]


class NewTargetBody(TypedDict):
    name: str
    kind: str
    settings: dict[str, Any]
    level: NotRequired[str]
    numbers: NotRequired[list[int]]


class NewToken(TypedDict):
    """`token` is in this answer and nowhere else."""

    ID: str
    token: str
    uses: int | None
    expires: float


class NextRoot(TypedDict):
    version: int
    expires: float
    threshold: int
    keys: dict[str, list[str]]
    signed: list[str]
    missing: list[int]
    text: str


class NextRootBody(TypedDict):
    add: NotRequired[list[str]]
    remove: NotRequired[list[str]]
    threshold: NotRequired[int | None]
    days: NotRequired[int]
    rotate: NotRequired[list[str]]


class Node(TypedDict):
    """A manager of the installation. `generation` is that of the floors in force there, `current` whether it is
    the stored one, `works` what it alone does at present.
    """

    ID: str
    name: str
    address: str
    release: str
    guiPort: int
    heartbeatPort: int
    started: float
    seen: float
    generation: int
    state: Literal["running", "stopped", "gone"]
    current: bool
    own: bool
    works: list[str]
    text: str


class Nodes(TypedDict):
    nodes: list[Node]


class Nothing(TypedDict):
    """A kind of thing that this product does not have: no list of them ever has an entry."""


class Obstacle(TypedDict):
    """A point whose floor is above what this package's agent speaks."""

    package: str
    point: Literal["heartbeat", "gui", "relay", "agent"]
    port: int
    floor: Literal["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"]
    speaks: Literal["SSLv2", "SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"]


class OnceOnly(TypedDict):
    startTime: int


class OpenPlace(TypedDict):
    """A port that is not proved, and why."""

    point: Literal["heartbeat", "gui", "relay", "agent"]
    name: str
    verdict: Literal["proved", "violated", "not proved"]
    reasons: list[str]


class Override(TypedDict):
    """A policy with a floor of its own."""

    policy: str
    floor: Literal["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"]


class OwnPasswordBody(TypedDict):
    old: str
    new: str


class Package(TypedDict):
    """`target` is its name in the signed metadata, `held` whether its file lies on this manager's disk."""

    id: int
    product: str
    version: str
    platform: str
    architecture: str
    file: str
    length: int
    sha256: str
    target: str
    key: str
    signature: str
    imported: float
    who: str
    origin: str
    held: bool


class PciEndpoint(TypedDict):
    """One endpoint under PCI DSS. What is not proved does not pass. `target` is null of a computer that has no
    port.
    """

    target: str | None
    point: Literal["heartbeat", "gui", "relay", "agent"] | None
    computer: str | None
    name: str
    inScope: bool
    passed: bool
    verdict: Literal["holds", "not proved", "does not hold"]
    reasons: list[str]


class Peer(TypedDict):
    """One peer at one point: the newest version that it offered, settled on, and was refused with."""

    point: Literal["heartbeat", "gui", "relay", "agent"]
    who: str | None
    name: str | None
    address: str
    offered: Literal["SSLv2", "SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"] | None
    negotiated: Literal["SSLv2", "SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"] | None
    refused: Literal["SSLv2", "SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"] | None
    count: int
    admitted: int
    refusals: int
    first: float
    last: float
    ja4: list[str]
    sni: str
    userAgent: str


class Peers(TypedDict):
    """With `by=peer`."""

    peers: list[Peer]


class Picture(TypedDict):
    links: list[Link]


class PointCiphers(TypedDict):
    """A port's cipher profile. `suites` are those that a handshake showed, by IANA's names, the best first.
    `missing` are the profile's that no certificate of the port serves.
    """

    point: Literal["heartbeat", "gui", "relay", "agent"]
    port: int
    profile: Literal["strong", "modern", "intermediate", "legacy"]
    suites: list[str]
    missing: list[str]


class PointFloor(TypedDict):
    """A point's floor. `serves` and `suites` are what a handshake in memory showed, null for ports not ours.
    `ciphers` is its cipher profile, null for those too.
    """

    point: Literal["heartbeat", "gui", "relay", "agent"]
    port: int
    ports: list[int]
    floor: Literal["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"]
    serves: list[Literal["SSLv2", "SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"]] | None
    suites: dict[str, str] | None
    ciphers: Literal["strong", "modern", "intermediate", "legacy"] | None
    policies_pending: int
    overrides: list[Override]


class Policies(TypedDict):
    policies: list[FullPolicy]


class PolicyBody(TypedDict):
    """`inherit` names the values that go back to the parent's."""

    relayFloor: NotRequired[str | None]
    agentFloor: NotRequired[str | None]
    heartbeatSeconds: NotRequired[int | None]
    missedHeartbeats: NotRequired[int | None]
    direction: NotRequired[str | None]
    autoSend: NotRequired[bool | None]
    ID: NotRequired[Any]
    parentID: NotRequired[int | None]
    description: NotRequired[str | None]
    autoRequiresUpdate: NotRequired[Literal["on", "off"] | None]
    policySettings: NotRequired[dict[str, str]]
    name: NotRequired[str | None]
    inherit: NotRequired[list[str]]
    force: NotRequired[bool]
    reason: NotRequired[str | None]
    seen: NotRequired[list[str] | None]


class Preflight(TypedDict):
    """Who would be cut off: parts of the fleet (`blockers`), programs (`affected`), and who passes, but just
    so. `to` is a floor, or a cipher profile.
    """

    to: Literal["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"] | Literal["strong", "modern", "intermediate", "legacy"]
    points: list[Literal["heartbeat", "gui", "relay", "agent"]]
    clear: bool
    blockers: list[Finding]
    affected: list[Finding]
    noted: list[Finding]
    judged: int


class Prober(TypedDict):
    address: str
    until: float


class ProberBody(TypedDict):
    address: str
    seconds: NotRequired[int]


class ProfileBody(TypedDict):
    profile: str
    point: NotRequired[str]
    force: NotRequired[bool]
    reason: NotRequired[str | None]
    seen: NotRequired[list[str] | None]


class Proof(TypedDict):
    """A signed bundle. `scope` is the verdict over what is in the scope of PCI DSS, null where nothing is."""

    verdict: Literal["proved", "violated", "not proved"]
    counts: dict[str, int]
    scope: str | None
    key: str
    open: list[OpenPlace]
    files: dict[str, str]


class ProofBody(TypedDict):
    change: NotRequired[int | None]


class ProofKey(TypedDict):
    id: str
    pem: str
    inUse: bool


class ProofKeyId(TypedDict):
    id: str


class ProofKeys(TypedDict):
    keys: list[ProofKey]


class Provider(TypedDict):
    """An identity provider that people sign in through. `roles`: role by value of the claim."""

    issuer: str
    clientId: str
    hasSecret: bool
    claim: str
    roles: dict[str, Literal["administrator", "operator", "auditor"]]
    nameClaim: str
    scopes: str
    label: str
    ca: str


class ProviderAnswer(TypedDict):
    """Null where none is set."""

    provider: Provider | None


class ProviderBody(TypedDict):
    """All of its settings; what is left out is as in a new one, but for the secret."""

    issuer: str
    clientId: str
    clientSecret: NotRequired[str | None]
    claim: NotRequired[str]
    roles: dict[str, str]
    nameClaim: NotRequired[str]
    scopes: NotRequired[str]
    label: NotRequired[str]
    ca: NotRequired[str]


class ProviderCheck(TypedDict):
    """What the provider says of itself."""

    issuer: str
    authorizationEndpoint: str
    tokenEndpoint: str
    keys: str


class PruneBody(TypedDict):
    olderThanDays: float


class Pruned(TypedDict):
    deleted: int


class Queued(TypedDict):
    """How many computers get their policy with their next heartbeat."""

    queued: int


class RecoveryCodes(TypedDict):
    recoveryCodes: list[str]


class ReferenceCertificate(TypedDict):
    """A certificate that 4119 shows; none of other systems is kept here."""

    ID: int
    purpose: Literal["gui"]
    trusted: bool
    certificateDetails: CertificateDetails


class ReferenceCertificates(TypedDict):
    certificates: list[ReferenceCertificate]


class Refusal(TypedDict):
    """Why it was not done, what was kept, and what to do next: words for a person."""

    message: str


class RelayFloor(TypedDict):
    """A relay's floor four ways: required by its policy, sent to it, reported by it, observed in a handshake."""

    ID: int
    hostGUID: str
    name: str
    version: str
    address: str
    port: int
    relayGroup: str | None
    required: Literal["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"]
    sent: Literal["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"] | None
    sentAt: float | None
    ackedAt: float | None
    reported: Literal["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"] | None
    reportedOrigin: str | None
    reportedAt: float | None
    held: Literal["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"]
    origin: str
    observed: Literal["SSLv2", "SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"] | None
    observedAt: float | None
    observedDetail: str
    lookedAt: float | None
    pending: bool
    drift: str | None
    driftKind: Literal["observed", "unacknowledged"] | None
    driftSince: float | None


class RelayGroup(TypedDict):
    """Relays that serve the same computers. Without a parent they ask the manager."""

    ID: int
    name: str
    parent: str | None
    relays: list[str]
    computers: int


class RelayGroupBody(TypedDict):
    name: str
    parent: NotRequired[str | None]


class RelayGroupMove(TypedDict):
    """Without a parent its relays ask the manager."""

    parent: NotRequired[str | None]


class RelayGroups(TypedDict):
    relayGroups: list[RelayGroup]


class Relays(TypedDict):
    relays: list[RelayFloor]


class ReleaseKey(TypedDict):
    id: str
    name: str
    pem: str
    number: int
    since: float
    who: str


class ReleaseKeys(TypedDict):
    keys: list[ReleaseKey]
    statement: str | None


class Reloaded(TypedDict):
    """Keys of the file that were changed and are read only at the start, and keys that nobody knows."""

    changed: list[Moved]
    preflight: Preflight | None
    policies_pending: int
    generation: int
    warnings: list[str]
    needsRestart: list[str]
    unknown: list[str]


class RenewedApiKey(TypedDict):
    ID: int
    keyName: str
    description: str
    locale: Literal["en-US", "ja-JP"]
    roleID: int
    timeZone: str
    active: bool
    created: int
    lastSignIn: int | None
    unlockTime: int | None
    unsuccessfulSignInAttempts: int
    expiryDate: int | None
    serviceAccount: bool
    name: str
    role: Literal["administrator", "operator", "auditor"]
    expires: float | None
    lastUsed: float | None
    createdBy: str
    lastAddress: str | None
    lastTLS: Literal["SSLv2", "SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"] | None
    lastJA4: str | None
    roleURN: str
    tenantID: int
    tenantGUID: str
    secretKey: str


class RequestBody(TypedDict):
    subject: NotRequired[str]
    names: NotRequired[list[str]]
    keyType: NotRequired[str]


class ResetBody(TypedDict):
    password: NotRequired[str | None]


class ResetUser(TypedDict):
    """`password` is null where it was given."""

    ID: int
    username: str
    fullName: str
    description: str
    roleID: int
    active: bool
    unlockTime: int | None
    unsuccessfulSignInAttempts: int
    role: Literal["administrator", "operator", "auditor"]
    created: float
    disabled: bool
    lockedUntil: float | None
    lastSignIn: float | None
    origin: Literal["local", "oidc"]
    secondFactor: bool
    password: str | None


class RevokeBody(TypedDict):
    reason: NotRequired[str]


class RoleAnswer(TypedDict):
    """One of the fixed roles. `permissions` are those of every use case that it may ask for."""

    ID: int
    name: Literal["administrator", "operator", "auditor"]
    description: str
    urn: str
    allRights: bool
    permissions: list[str]


class Roles(TypedDict):
    roles: list[RoleAnswer]


class Root(TypedDict):
    version: int
    expires: float
    threshold: int
    keys: dict[str, list[str]]
    signed: list[str]
    missing: list[int]


class RootBody(TypedDict):
    text: str


class RootText(TypedDict):
    text: str


class RotateBody(TypedDict):
    """`byItself` false: the switch waits for a person. `soak` is in seconds; `leaveBehind` a reason."""

    byItself: NotRequired[bool]
    soak: NotRequired[float]
    leaveBehind: NotRequired[str]


class Rotation(TypedDict):
    """A rotation as it stands. `computers` counts them by how far they are; `behind` are those that are waited
    for.
    """

    id: int
    created: float
    who: str
    state: Literal["announce", "switch", "back", "retired", "withdrawn"]
    entered: float
    soaked: float
    soak: float
    byItself: bool
    old: str
    new: str
    text: str
    computers: dict[str, int]
    behind: list[Member]
    oldTokens: int
    reasons: dict[str, str]
    ended: float | None
    log: list[Logged]


class Scan(TypedDict):
    """A scan as it stands: `done` of `total` endpoints were asked. `interrupted`: its manager ended meanwhile.
    `failing` endpoints break a rule of a profile, `findings` are the broken rules of all; of `notProved`
    endpoints nothing is broken, but something is not proved.
    """

    id: int
    created: float
    who: str
    label: str
    state: Literal["queued", "running", "done", "cancelled", "interrupted", "failed"]
    asked: ScanAsked
    leftOut: list[LeftOut]
    total: int
    done: int
    failing: int
    notProved: int
    findings: int
    started: float | None
    ended: float | None
    text: str


class ScanAsked(TypedDict):
    """What was asked for."""

    fleet: bool
    computers: list[str]
    endpoints: list[str]
    opening: str | None
    mode: Literal["full", "sweep"]
    profiles: list[str]


class ScanBody(TypedDict):
    """`fleet`, `computers` and `endpoints` may stand together; one of them has to."""

    fleet: NotRequired[bool]
    computers: NotRequired[list[int | str]]
    endpoints: NotRequired[list[str]]
    opening: NotRequired[str | None]
    mode: NotRequired[str]
    profiles: NotRequired[list[str]]
    label: NotRequired[str]


class ScanChange(TypedDict):
    """`opened` is accepted now and was not, `closed` the other way round, `unproved` was known and is not any
    more.
    """

    kind: Literal["opened", "closed", "changed", "unproved"]
    subject: str
    text: str


class ScanDiff(TypedDict):
    """A scan compared with an earlier one. `kinds` counts the changes; `same` endpoints did not change; `new`
    ones are in this scan only, `gone` ones in the earlier one only.
    """

    scan: int
    earlier: int
    kinds: dict[str, int]
    changed: list[ChangedEndpoint]
    same: int
    new: list[str]
    gone: list[str]


class ScanEndpoint(TypedDict):
    """One endpoint. `point`, `computer` and `name` say whose port it is, where it is the fleet's. `letter` is
    the worst grade of its suites, empty where there is none.
    """

    position: int
    target: str
    opening: str
    serverName: str
    point: Literal["heartbeat", "gui", "relay", "agent"] | None
    computer: str | None
    name: str
    state: Literal["waiting", "complete", "incomplete", "unreachable", "not TLS"]
    note: str
    accepted: list[Literal["SSLv2", "SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"]]
    letter: str
    verdicts: list[Judged]


class ScanEndpoints(TypedDict):
    endpoints: list[ScanEndpoint]


class ScanPci(TypedDict):
    """`verdict` is over what is in scope, null where nothing is; `missing` are computers in scope of which the
    scan has no endpoint.
    """

    scan: int
    profile: str
    verdict: Literal["holds", "not proved", "does not hold"] | None
    note: str
    endpoints: list[PciEndpoint]
    missing: list[PciEndpoint]


class ScanReport(TypedDict):
    """The document of `plimsoll scan --format json`; docs/scan.md says what its endpoints hold."""

    schema: str
    tool: ScanTool
    started: float
    endpoints: list[dict[str, Any]]
    finished: float
    count: int


class ScanTool(TypedDict):
    name: str
    version: str


class Scans(TypedDict):
    scans: list[Scan]


class ScheduleDetails(TypedDict):
    """The part that belongs to `recurrenceType` is there, and no other."""

    timeZone: str
    recurrenceType: Literal["none", "hourly", "daily", "weekly", "monthly"]
    recurrenceCount: NotRequired[int]
    onceOnlyScheduleParameters: NotRequired[OnceOnly]
    hourlyScheduleParameters: NotRequired[Hourly]
    dailyScheduleParameters: NotRequired[Daily]
    weeklyScheduleParameters: NotRequired[Weekly]
    monthlyScheduleParameters: NotRequired[Monthly]


class ScheduledTask(TypedDict):
    """`runNow` is true until it has run. Ours: `lastRunOk`, `lastRunText`, `runs`, `createdBy`."""

    ID: int
    name: str
    type: Literal["send-policy", "check-for-software-updates"]
    scheduleDetails: ScheduleDetails
    enabled: bool
    lastRunTime: int | None
    nextRunTime: int | None
    runNow: bool
    sendPolicyTaskParameters: NotRequired[SendPolicyTaskParameters]
    lastRunOk: bool | None
    lastRunText: str
    runs: int
    createdBy: str


class ScheduledTasks(TypedDict):
    scheduledTasks: list[ScheduledTask]


class ScheduledtasksSendPolicyBody(TypedDict):
    computerFilter: NotRequired[FilterBody | None]


class Scope(TypedDict):
    scope: list[Mark]


class ScopeBody(TypedDict):
    """One of the two."""

    point: NotRequired[str | None]
    computer: NotRequired[int | str | None]
    note: NotRequired[str]


class Script(TypedDict):
    """What was asked, and the script; its token is shown in this answer and nowhere else."""

    platform: Literal["linux", "windows"]
    validateCertificateRequired: bool
    validateDigitalSignatureRequired: bool
    activationRequired: bool
    dsmProxyID: int | None
    relayProxyID: int | None
    policyID: int | None
    relayGroupID: int | None
    computerGroupID: int | None
    xbcDeploymentRequired: bool
    relay: bool
    displayName: str
    manager: str
    trust: Literal["ca", "system", "none"] | None
    tokenTTL: float
    tokenUses: int
    agentVersion: str
    workaround: str
    baseURL: str
    packagePlatform: str
    packageArchitecture: str
    packageFile: str
    unchecked: bool
    scriptBody: str
    fileName: str
    packages: list[Package]
    notes: list[str]
    tokenID: str | None
    tokenExpires: float | None


class ScriptBody(TypedDict):
    """The reference's fields, then ours. What is not said is its default; a number of 0 is none."""

    platform: Literal["linux", "windows", "solaris", "aix"]
    validateCertificateRequired: NotRequired[bool]
    validateDigitalSignatureRequired: NotRequired[bool]
    activationRequired: NotRequired[bool]
    dsmProxyID: NotRequired[int | None]
    relayProxyID: NotRequired[int | None]
    policyID: NotRequired[int | None]
    relayGroupID: NotRequired[int | None]
    computerGroupID: NotRequired[int | None]
    xbcDeploymentRequired: NotRequired[bool]
    relay: NotRequired[bool]
    displayName: NotRequired[str]
    manager: NotRequired[str]
    trust: NotRequired[Literal["ca", "system", "none"] | None]
    caCertificate: NotRequired[str]
    token: NotRequired[str]
    tokenTTL: NotRequired[float]
    tokenUses: NotRequired[int]
    agentVersion: NotRequired[str]
    workaround: NotRequired[str]
    baseURL: NotRequired[str]
    packagePlatform: NotRequired[str]
    packageArchitecture: NotRequired[str]
    packageFile: NotRequired[str]
    unchecked: NotRequired[bool]


class Scripts(TypedDict):
    scripts: list[Nothing]


class SearchCriterion(TypedDict):
    """A field, and one test of it; a value without a test must be equal."""

    fieldName: str
    stringTest: NotRequired[
        Literal["less-than", "less-than-or-equal", "equal", "greater-than-or-equal", "greater-than", "not-equal"] | None
    ]
    stringValue: NotRequired[str | None]
    stringWildcards: NotRequired[bool | None]
    numericTest: NotRequired[
        Literal["less-than", "less-than-or-equal", "equal", "greater-than-or-equal", "greater-than", "not-equal"] | None
    ]
    numericValue: NotRequired[int | None]
    booleanTest: NotRequired[bool | None]
    choiceTest: NotRequired[
        Literal["less-than", "less-than-or-equal", "equal", "greater-than-or-equal", "greater-than", "not-equal"] | None
    ]
    choiceValue: NotRequired[str | None]
    idTest: NotRequired[
        Literal["less-than", "less-than-or-equal", "equal", "greater-than-or-equal", "greater-than", "not-equal"] | None
    ]
    idValue: NotRequired[int | None]
    versionTest: NotRequired[
        Literal["less-than", "less-than-or-equal", "equal", "greater-than-or-equal", "greater-than", "not-equal"] | None
    ]
    versionValue: NotRequired[str | None]
    firstDateValue: NotRequired[int | None]
    firstDateInclusive: NotRequired[bool | None]
    lastDateValue: NotRequired[int | None]
    lastDateInclusive: NotRequired[bool | None]
    nullTest: NotRequired[bool | None]


class SearchFilter(TypedDict):
    """All criteria must hold. A page has at most 5000 items, in the order of their IDs whatever
    `sortByObjectID` says. The next page: a criterion more, `ID` with `idTest` `greater-than` the last ID,
    until a page is empty.
    """

    maxItems: NotRequired[int | None]
    searchCriteria: NotRequired[list[SearchCriterion]]
    sortByObjectID: NotRequired[bool | None]


class SecondFactor(TypedDict):
    """`since` is null where sign-in asks for no code; `waiting`: a secret was given out and no code of it
    confirmed.
    """

    since: float | None
    waiting: bool
    recoveryCodes: int


class SecurityUpdates(TypedDict):
    """There are none here."""

    antiMalware: list[str]
    other: list[str]


class SendPolicyTaskParameters(TypedDict):
    computerFilter: ComputerFilter


class SessionAnswer(TypedDict):
    """Of a person who signed in. `lastUsed` is to the minute; `current` is the session that asks."""

    ID: str
    username: str
    created: float
    lastUsed: float
    expires: float
    address: str
    how: Literal["password", "code", "recovery", "oidc"]
    current: bool


class Sessions(TypedDict):
    sessions: list[SessionAnswer]


class SettingValue(TypedDict):
    """Always a text."""

    value: str


class Shadow(TypedDict):
    """A point's floor and its shadow floor, which refuses nobody and counts whom it would have."""

    point: Literal["heartbeat", "gui", "relay", "agent"]
    floor: Literal["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"]
    shadow: Literal["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"] | None
    since: float | None
    who: str | None
    wouldBeRefused: int
    last: WouldBe | None


class ShadowBody(TypedDict):
    floor: str
    point: NotRequired[str]


class ShadowCleared(TypedDict):
    cleared: list[Literal["heartbeat", "gui", "relay", "agent"]]


class ShadowReport(TypedDict):
    days: int
    refused: list[WouldBe]


class ShadowSet(TypedDict):
    set: list[Literal["heartbeat", "gui", "relay", "agent"]]


class Shadows(TypedDict):
    points: list[Shadow]


class Sighting(TypedDict):
    """Handshakes that are alike. `candidates` are who it may have been, where it did not say so itself."""

    point: Literal["heartbeat", "gui", "relay", "agent"]
    address: str
    ja4: str
    offered: Literal["SSLv2", "SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"] | None
    versions: list[Literal["SSLv2", "SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"]]
    sni: str
    outcome: Literal["admitted", "refused", "refused-after-handshake", "failed", "not-tls", "timeout"]
    negotiated: Literal["SSLv2", "SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"] | None
    who: str | None
    name: str | None
    attribution: Literal["shown", "certain", "one of"] | None
    candidates: list[str]
    userAgent: str
    count: int
    first: float
    last: float
    detail: str


class Sightings(TypedDict):
    sightings: list[Sighting]


class Software(TypedDict):
    software: list[Package]


class Status(TypedDict):
    """Facts of the process; of a stopped manager only those of its home."""

    version: str
    installation: str
    state: Literal["running", "stopped"]
    started: NotRequired[float]
    generation: NotRequired[int]
    current: NotRequired[bool]
    ports: NotRequired[dict[str, int]]
    connections: NotRequired[dict[str, int]]
    computers: NotRequired[Counted]
    database: Database


class StepBody(TypedDict):
    """`leaveBehind`, a reason, goes on without those that cannot be waited for."""

    leaveBehind: NotRequired[str]


class Target(TypedDict):
    """A syslog receiver or webhook. `waiting` counts events after the last that arrived."""

    ID: int
    name: str
    kind: Literal["syslog", "webhook"]
    settings: dict[str, Any]
    level: Literal["info", "warning", "error"]
    numbers: list[int]
    active: bool
    created: float
    who: str
    delivered: float | None
    failingSince: float | None
    problem: str
    waiting: int


class TargetBody(TypedDict):
    """What is left out stays."""

    name: NotRequired[str | None]
    settings: NotRequired[dict[str, Any] | None]
    level: NotRequired[str | None]
    numbers: NotRequired[list[int] | None]
    active: NotRequired[bool | None]
    skip: NotRequired[bool]


class Targets(TypedDict):
    notifications: list[Target]


class TaskBody(TypedDict):
    """What is missing stays as it is. `runNow` runs it once, whatever its schedule and whether it is enabled."""

    name: NotRequired[str | None]
    type: NotRequired[str | None]
    scheduleDetails: NotRequired[dict[str, Any] | None]
    enabled: NotRequired[bool | None]
    runNow: NotRequired[bool | None]
    sendPolicyTaskParameters: NotRequired[ScheduledtasksSendPolicyBody | None]


class Tenant(TypedDict):
    """The one that there is: the whole of this installation."""

    ID: int
    name: Literal["primary"]
    description: str
    guid: str
    tenantState: Literal["active"]


class Tenants(TypedDict):
    tenants: list[Tenant]


class TlsSendPolicyBody(TypedDict):
    """Exactly one of the three."""

    computers: NotRequired[list[int | str] | None]
    relayGroup: NotRequired[str | None]
    all: NotRequired[bool]


class Token(TypedDict):
    """An activation token, without its secret. Null uses: any number."""

    ID: str
    uses: int | None
    usesLeft: int | None
    created: float
    expires: float
    kind: Literal["agent", "relay", "appliance"] | None
    createdBy: str


class TokenBody(TypedDict):
    """`uses` 0 means any number; `expiresIn` is in seconds."""

    uses: NotRequired[int]
    expiresIn: NotRequired[float]
    kind: NotRequired[str | None]


class Tokens(TypedDict):
    activationTokens: list[Token]


class Tried(TypedDict):
    result: str


class TrustBody(TypedDict):
    text: str
    name: NotRequired[str]


class Undeployable(TypedDict):
    """No such package can be deployed under the floors of now."""

    message: str
    obstacles: list[Obstacle]


class Upgrade(TypedDict):
    """An upgrade of the fleet as it stands. `failures` is the share of a wave that may fail, from 0 to 1."""

    id: int
    created: float
    who: str
    to: str
    state: Literal["running", "paused", "halted", "aborted", "done"]
    wave: int
    entered: float
    soaked: float
    soak: float
    text: str
    waves: list[Wave]
    figures: list[Figure]
    failing: list[UpgradeHost]
    left: dict[str, list[str]]
    backOf: int | None
    failures: float
    watch: float
    patience: float
    atOnce: int
    ended: float | None
    log: list[Logged]


class UpgradeHost(TypedDict):
    computer: str
    name: str
    wave: int
    state: Literal["waiting", "ordered", "working", "switching", "done", "failed", "back", "lost", "left out"]
    former: str
    goal: str
    since: float
    detail: str
    code: str


class UpgradeHosts(TypedDict):
    computers: list[UpgradeHost]


class UpgradePlan(TypedDict):
    """What would be done. `there` counts the computers that run the target already."""

    to: str
    waves: list[Wave]
    there: int
    left: dict[str, list[str]]


class Upgrades(TypedDict):
    upgrades: list[Upgrade]


class UpgradesStartBody(TypedDict):
    """Everybody, or those of the relay groups, policies and computers named. `failures` is a share of a wave, 0
    to 1; times are in seconds.
    """

    to: str
    groups: NotRequired[list[str]]
    policies: NotRequired[list[str]]
    computers: NotRequired[list[str]]
    wave: NotRequired[str]
    soak: NotRequired[float]
    failures: NotRequired[float]
    watch: NotRequired[float]
    patience: NotRequired[float]
    atOnce: NotRequired[int]


class User(TypedDict):
    """`unlockTime` is milliseconds, as in the reference; the other times are seconds."""

    ID: int
    username: str
    fullName: str
    description: str
    roleID: int
    active: bool
    unlockTime: int | None
    unsuccessfulSignInAttempts: int
    role: Literal["administrator", "operator", "auditor"]
    created: float
    disabled: bool
    lockedUntil: float | None
    lastSignIn: float | None
    origin: Literal["local", "oidc"]
    secondFactor: bool


class UserBody(TypedDict):
    role: NotRequired[str | None]
    roleID: NotRequired[int | None]
    fullName: NotRequired[str | None]
    description: NotRequired[str | None]
    active: NotRequired[bool | None]
    username: str
    password: str


class UserChangeBody(TypedDict):
    """Of `role` and `roleID`, and of `active` and `disabled`, the one counts that says something new."""

    role: NotRequired[str | None]
    roleID: NotRequired[int | None]
    fullName: NotRequired[str | None]
    description: NotRequired[str | None]
    active: NotRequired[bool | None]
    disabled: NotRequired[bool | None]
    unlock: NotRequired[bool]
    password: NotRequired[str | None]


class Users(TypedDict):
    administrators: list[User]


class ValueBody(TypedDict):
    """``{"value": "text"}``."""

    value: NotRequired[str]


class Values(TypedDict):
    """A policy's values; null inherits its parent's."""

    relayFloor: Literal["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"] | None
    agentFloor: Literal["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"] | None
    heartbeatSeconds: int | None
    missedHeartbeats: int | None
    direction: Literal["agent-initiated", "bidirectional", "manager-initiated"] | None
    autoSend: bool | None


class VisitBody(TypedDict):
    """Where the agent waits. Without a code the agent must have been told whom to trust."""

    address: str
    port: NotRequired[int]
    code: NotRequired[str | None]


class Wave(TypedDict):
    """A wave with how many of its computers are in each state."""

    number: int
    what: str
    size: int
    states: dict[str, int]


class Way(TypedDict):
    """What can be done about a finding. `to` is a release, `until` when an exception would end at the latest."""

    do: Literal["upgrade", "exception", "retire", "look"]
    to: str | None
    until: float | None
    points: list[Literal["heartbeat", "gui", "relay", "agent"]]


class Weekly(TypedDict):
    startTime: int
    interval: int
    days: list[Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]]


class WouldBe(TypedDict):
    """Who came in on a day, and would not have below that floor."""

    day: str
    point: Literal["heartbeat", "gui", "relay", "agent"]
    floor: Literal["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"]
    name: str
    who: str | None
    address: str
    ja4: str
    offered: Literal["SSLv2", "SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"] | None
    negotiated: Literal["SSLv2", "SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"] | None
    count: int
    first: float
    last: float
