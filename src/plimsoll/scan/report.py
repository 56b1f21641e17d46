"""What a scan observed: plain values, without verdicts. `reports.json_report` documents their written form.

An outcome that was not proved is never called refused: `Outcome.REFUSED` needs the peer's own words (an alert), all
else that is no ServerHello is `Outcome.INCONCLUSIVE` with what was seen.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from plimsoll.tls.versions import Version


class Outcome(enum.Enum):
    """What asking for one version showed."""

    #: A ServerHello of that version came.
    ACCEPTED = "accepted"
    #: Alert 70, or alert 40 or 71 (or 47 of strict stacks) to every rung of the ladder of offers.
    REFUSED = "refused"
    #: A reset, an end of file, silence, foreign bytes, or a control that failed: never a pass.
    INCONCLUSIVE = "inconclusive"
    NOT_ASKED = "not asked"


class Preference(enum.Enum):
    """Whose order of suites counts."""

    SERVER = "server"
    CLIENT = "client"
    #: One suite, so that there is nothing to order; or not found out.
    INDETERMINATE = "indeterminate"


class State(enum.Enum):
    """How far the scan of an endpoint came."""

    COMPLETE = "complete"
    #: TLS is spoken there, but at least one question stayed open.
    INCOMPLETE = "incomplete"
    #: No connection at all: closed port, no route, a name that does not resolve.
    UNREACHABLE = "unreachable"
    #: Something answers that is not TLS; `EndpointReport.note` names it.
    NOT_TLS = "not TLS"


@dataclass(frozen=True, slots=True)
class Target:
    """One endpoint to scan.

    `host` is a name or an IP literal as given; `opening` names a machine of `plimsoll.tls.starttls` ("" for TLS at
    once); `server_name` is what SNI says: the host if it is a name, else "" (an IP literal never goes into SNI, RFC
    6066 §3).
    """

    host: str
    port: int
    opening: str = ""
    server_name: str = ""

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class KeyExchange:
    """The ephemeral parameters that a ServerHello or ServerKeyExchange showed.

    `group` is the name of `codepoints.group_name`, or "dh" for classic Diffie-Hellman, or "rsa" for key transport.
    `bits` is the size of the group, prime or RSA key; `prime` names a known prime (RFC 7919, RFC 3526, RFC 2409, a
    library's default) or is "" for an unknown one.
    """

    group: str
    bits: int
    prime: str = ""


@dataclass(frozen=True, slots=True)
class SuiteReport:
    """One accepted suite: code point, IANA name, the key exchange seen with it, and the SHA-256 of the certificate."""

    code: int
    name: str
    exchange: KeyExchange | None = None
    certificate: str = ""


@dataclass(frozen=True, slots=True)
class GroupReport:
    """A key-exchange group that a version accepts (code point, name, bits; `hybrid` for a post-quantum one)."""

    code: int
    name: str
    bits: int
    hybrid: bool = False


@dataclass(frozen=True, slots=True)
class VersionReport:
    """What asking for one version showed.

    `evidence` are sentences in the order of asking ("alert protocol_version (70)", "connection reset after 3 offers").
    `suites` are in the server's order where `preference` is SERVER, else in the order of discovery. `suites_complete`
    is False where the list ended in anything but a refusal. `groups_complete` likewise (False too if not asked).
    `only_without_name` / `only_with_name`: the version answers only to hellos of that form.
    """

    version: Version
    outcome: Outcome
    evidence: tuple[str, ...] = ()
    suites: tuple[SuiteReport, ...] = ()
    suites_complete: bool = False
    preference: Preference = Preference.INDETERMINATE
    compressors: tuple[str, ...] = ()
    groups: tuple[GroupReport, ...] = ()
    groups_complete: bool = False
    signature_schemes: tuple[str, ...] = ()
    only_without_name: bool = False
    only_with_name: bool = False


@dataclass(frozen=True, slots=True)
class CertificateReport:
    """One leaf that the endpoint serves, with its chain as sent.

    `chain` holds the DER of leaf and intermediates. The rest is read from the leaf: `key` is e.g. "rsa" or "ec",
    `key_bits`, `curve`, `signature` e.g. "sha256WithRSAEncryption"; times in seconds since the epoch. `trust` is one
    of "trusted", "self-signed", "unknown issuer", "incomplete chain", "expired", "not yet valid", "not checked";
    `name_matches` is None where no name was asked for. `seen_with` names the versions under which it was served.
    `faults` are sentences (weak signature, exponent 1, ...). `only_without_name`: clients that send the server's name
    are shown another one.
    """

    fingerprint: str
    chain: tuple[bytes, ...]
    subject: str = ""
    issuer: str = ""
    names: tuple[str, ...] = ()
    serial: str = ""
    key: str = ""
    key_bits: int = 0
    curve: str = ""
    exponent: int = 0
    signature: str = ""
    not_before: float = 0.0
    not_after: float = 0.0
    trust: str = "not checked"
    name_matches: bool | None = None
    seen_with: tuple[Version, ...] = ()
    faults: tuple[str, ...] = ()
    only_without_name: bool = False


@dataclass(frozen=True, slots=True)
class Features:
    """Properties beside versions and suites. None means: not asked, or the answer did not tell.

    `resumption` is by version and way ("TLSv1.2 by session id", "TLSv1.2 by ticket"): was a real session resumed?
    `alpn` has the application protocols that are accepted, in the server's order where it has one.
    `client_certificate` is "required", "requested", "not requested", or "" where that was not found out.
    """

    secure_renegotiation: bool | None = None
    extended_master_secret: bool | None = None
    encrypt_then_mac: bool | None = None
    fallback_scsv: bool | None = None
    session_ids: bool | None = None
    tickets: bool | None = None
    resumption: Mapping[str, bool] = field(default_factory=dict)
    early_data: bool | None = None
    alpn: tuple[str, ...] = ()
    needs_name: bool | None = None
    ocsp_staple: bool | None = None
    client_certificate: str = ""


@dataclass(frozen=True, slots=True)
class Control:
    """The positive controls: did the version that is allowed answer before and after the refusals?

    `held` is None where nothing was accepted at all, so that there was nothing to ask. `rounds` counts how often the
    questions between were asked again, slower, because the control had failed.
    """

    held: bool | None = None
    rounds: int = 1
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EndpointReport:
    """Everything seen of one endpoint. `mode` is "full" or "sweep"; times in seconds since the epoch."""

    target: Target
    state: State
    mode: str = "full"
    address: str = ""
    note: str = ""
    started: float = 0.0
    ended: float = 0.0
    connections: int = 0
    versions: Mapping[Version, VersionReport] = field(default_factory=dict)
    certificates: tuple[CertificateReport, ...] = ()
    features: Features = Features()
    control: Control = Control()

    @property
    def accepted(self) -> tuple[Version, ...]:
        """The versions that the endpoint accepts, oldest first."""
        return tuple(sorted(v for v, seen in self.versions.items() if seen.outcome is Outcome.ACCEPTED))
