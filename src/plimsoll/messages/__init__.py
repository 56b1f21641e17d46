"""What manager, agents and relays say to each other: JSON bodies over mutual TLS.

Old and new releases run side by side, so every message carries a capability number; fields are only ever added, with
a default that means "not said". Capability numbers:

* 1 (2026-11): activation, heartbeat, renewal, Send Policy, floor report.
* 2 (2026-11): the command ``upgrade``. Who says less is never sent one: it could not read the whole answer.
* 3 (2026-11): where software comes from, and whose signature counts: `SoftwareState`, `SoftwareNews`.
* 4 (2026-11): which CAs are trusted: `Heartbeat.trusts`, `HeartbeatReply.authorities`.

Paths on 4120 (the manager listens): POST ACTIVATE, HEARTBEAT, RENEW, GET METADATA/<name> and TARGETS/<SHA-256>. Paths
on 4118 (the agent listens, managers only are obeyed): POST VISIT_BEGIN and VISIT_FINISH (manager-initiated activation),
GET VISIT_HEARTBEAT then POST VISIT_REPLY (manager-initiated heartbeat), POST WAKE (heartbeat now). Paths on 4122: GET
FLOOR_REPORT, GET FILES/<name>, METADATA/<name> and TARGETS/<SHA-256>.
"""

from __future__ import annotations

import enum
import hashlib
from typing import Literal

import msgspec

from plimsoll.tls.versions import Version

#: What this release understands; see the list above.
CAPABILITY = 4

#: From here on an agent understands the command ``upgrade``.
UPGRADES_FROM = 2

#: From here on an agent takes over which CAs it is to trust, and says which it does.
AUTHORITIES_FROM = 4

ACTIVATE = "/agent/v1/activate"
HEARTBEAT = "/agent/v1/heartbeat"
RENEW = "/agent/v1/renew"
VISIT_BEGIN = "/visit/v1/begin"
VISIT_FINISH = "/visit/v1/finish"
VISIT_HEARTBEAT = "/visit/v1/heartbeat"
VISIT_REPLY = "/visit/v1/reply"
WAKE = "/visit/v1/wake"
FLOOR_REPORT = "/relay/v1/floor"
FILES = "/relay/v1/files"
METADATA = "/relay/v1/metadata"
TARGETS = "/relay/v1/targets"

#: The largest message body that anyone reads, in bytes.
MAX_BODY = 1 << 20


class Kind(enum.Enum):
    """What an activated machine is (R1). A relay is an agent with the role; an appliance guards other machines."""

    AGENT = "agent"
    RELAY = "relay"
    APPLIANCE = "appliance"


class Direction(enum.Enum):
    """Who opens the connection. Only the last two open 4118 on the computer (R5)."""

    AGENT_INITIATED = "agent-initiated"
    BIDIRECTIONAL = "bidirectional"
    MANAGER_INITIATED = "manager-initiated"


class Message(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The base of all messages: unknown fields are ignored, so newer peers may say more."""


class Inventory(Message):
    """What a host is and what its TLS can do, as probed there, not as configured.

    `speaks` are the versions that a handshake in memory with the host's own TLS library completed.
    """

    hostname: str
    version: str
    kind: Kind = Kind.AGENT
    platform: str = ""
    architecture: str = ""
    tls_library: str = ""
    speaks: list[Version] = []
    curl_version: str = ""
    boot_id: str = ""
    listen_port: int | None = None
    relay_port: int | None = None
    guards: list[str] = []
    display_name: str = ""
    #: Whether this host can change its own software: its launcher started it, from a tree of its own.
    upgradable: bool = False
    #: Releases that it can go back to without a download.
    kept: list[str] = []


class Policy(Message):
    """A policy as it is sent to a computer: the floors travel in it (R11, R14)."""

    name: str
    generation: int
    heartbeat_seconds: int = 600
    missed_heartbeats: int = 2
    direction: Direction = Direction.AGENT_INITIATED
    agent_floor: Version = Version.TLS1_2
    relay_floor: Version = Version.TLS1_2


def fingerprint(policy: Policy) -> str:
    """The hex SHA-256 of the policy's canonical JSON: what an agent reports to say which policy it holds."""
    return hashlib.sha256(msgspec.json.encode(policy, order="deterministic")).hexdigest()


class Assignment(Message):
    """Where an administrator wants a new computer: each a number or a name as the manager lists it; empty: not said."""

    policy: str = ""
    group: str = ""
    relay_group: str = ""
    description: str = ""


class SoftwareState(Message):
    """What an agent holds of the software repository: `trust` is the number of its statement of release keys (0: none),
    `root` whether it has a root to begin with, `sources` the digest of its list of relays.
    """

    trust: int = 0
    root: bool = False
    sources: str = ""


class SoftwareNews(Message):
    """What an agent does not hold yet: statements of release keys that follow its own, in order; the repository's root
    metadata, for one who has none; its list of relays (``host:port``, to be tried in this order before the manager).
    """

    trust: list[str] = []
    root: str = ""
    sources: str = ""
    relays: list[str] | None = None


class ActivationRequest(Message):
    """Asks to become a computer of the fleet. The token is sent only after the CA's key hash in it was checked."""

    capability: int
    csr: str
    inventory: Inventory
    token: str = ""
    assign: Assignment | None = None


class Activation(Message):
    """The answer: an identity. `computer` is the id that also stands in the certificate's URI SAN.

    `managers` are addresses (``dsm://host:port``) to call. A visited agent knows none by itself; one that called keeps
    the address that it called.
    """

    capability: int
    computer: str
    installation: str
    certificate: str
    ca: str
    policy: Policy
    manager_time: float
    managers: list[str] = []
    software: SoftwareNews | None = None


class FloorOrigin(enum.Enum):
    """Why a relay holds the floor it holds (R7, R17)."""

    POLICY = "policy"
    VERSION_DEFAULT = "version default"
    KEPT = "kept through an upgrade"


class FloorReport(Message):
    """What a relay says of its own floor. It is a statement, and is checked by a handshake."""

    floor: Version
    origin: FloorOrigin
    policy_generation: int = 0
    since: float = 0.0
    port: int = 0


class AgentEvent(Message):
    """Something that happened on the host. `sequence` rises, so that a repeated report is recognised."""

    sequence: int
    number: int
    time: float
    text: str


class Ack(Message):
    """What became of a command. It is repeated until the manager says that it is stored. `code` is for programs."""

    command: str
    ok: bool
    text: str = ""
    code: str = ""


class UpgradeOrder(Message):
    """Become this release. `target` names the package in the signed metadata; without one, a release that is kept.

    `length` (bytes) and `sha256` (hex) are what the manager expects of the package, beside what the metadata says.
    `watch_seconds` is how long the new release may take until a heartbeat of its own is accepted; then it is left.
    """

    version: str
    target: str = ""
    length: int = 0
    sha256: str = ""
    watch_seconds: float = 600.0


class UpgradeReport(Message):
    """How far an upgrade is on its host. It is reported while it is under way; its end is the command's `Ack`."""

    command: str
    state: str
    version: str
    text: str = ""


class Heartbeat(Message):
    """What an agent brings. `sequence` is max(last + 1, unix time), so a restored peer does not look like an attack.

    `trusts` are the hex SHA-256 of the CA certificates that it trusts, sorted: once they are on its disk.
    """

    capability: int
    sequence: int
    time: float
    inventory: Inventory | None = None
    policy_fingerprint: str = ""
    policy_generation: int = 0
    acks: list[Ack] = []
    events: list[AgentEvent] = []
    relay: FloorReport | None = None
    upgrade: UpgradeReport | None = None
    software: SoftwareState | None = None
    trusts: list[str] = []


class Command(Message):
    """An order to an agent: ``apply-policy`` brings a policy, ``renew-certificate`` asks for a renewal now.

    ``upgrade`` says which release to become; only to those whose capability is `UPGRADES_FROM` or more.
    """

    id: str
    kind: Literal["apply-policy", "renew-certificate", "upgrade"]
    policy: Policy | None = None
    upgrade: UpgradeOrder | None = None


class HeartbeatReply(Message):
    """What an agent takes home. What stands in `stored_acks` and up to `stored_event` need not be sent again.

    `authorities` are all CA certificates (PEM, one each) that it is to trust from now on; absent where it does.
    """

    capability: int
    manager_time: float
    next_seconds: float
    commands: list[Command] = []
    stored_acks: list[str] = []
    stored_event: int = 0
    send_inventory: bool = False
    software: SoftwareNews | None = None
    authorities: list[str] | None = None


class RenewalRequest(Message):
    """A new CSR under the current identity, or, after expiry, under the old key with a signature as proof.

    `proof` is the base64 signature over `csr` by the old key, `old_certificate` the PEM that it belongs to; both are
    used only where the certificate has expired, within the manager's grace period.
    """

    capability: int
    csr: str
    old_certificate: str = ""
    proof: str = ""


class Renewal(Message):
    """`ca` are all CA certificates to trust, the issuer's first; behind `certificate` others to show may stand."""

    certificate: str
    ca: str


class VisitBegin(Message):
    """The manager asks an agent that waits for it. `proof` answers the one-time code, see `visit_proof`."""

    capability: int
    installation: str
    ca: str
    proof: str = ""


class VisitOffer(Message):
    """The waiting agent's answer: its CSR and inventory. `proof` shows that it too knows the code."""

    capability: int
    csr: str
    inventory: Inventory
    proof: str = ""


class Problem(Message):
    """Any refusal: what was wrong, what was kept, what to do next. `retry_after` is in seconds."""

    message: str
    reason: str = ""
    retry_after: float | None = None
