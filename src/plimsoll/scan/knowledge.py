"""What the scripts of one endpoint have learnt so far: findings while they grow, report values at the end."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from plimsoll.scan.asking import Answer, Ask, Kind, Want
from plimsoll.scan.hellos import GROUPS_13, GROUPS_13_SMALL, Hellos
from plimsoll.scan.orders import Orders
from plimsoll.scan.report import GroupReport, KeyExchange, Outcome, Preference, SuiteReport, Target, VersionReport
from plimsoll.tls.alerts import Alert
from plimsoll.tls.codepoints import group_name, suite_name
from plimsoll.tls.flight import Exchange
from plimsoll.tls.primes import prime_name
from plimsoll.tls.server_hello import ServerHello
from plimsoll.tls.spki import public_key
from plimsoll.tls.versions import Version

if TYPE_CHECKING:
    from plimsoll.scan.features import Facts
    from plimsoll.scan.pace import Pace

Chain = tuple[bytes, ...]

#: Alerts by which a server says that it can do nothing with what was offered (47 is what strict stacks say).
REFUSALS: Final = frozenset({Alert.HANDSHAKE_FAILURE, Alert.ILLEGAL_PARAMETER, Alert.INSUFFICIENT_SECURITY})
#: The same, and that the version itself is not served.
FINAL: Final = Alert.PROTOCOL_VERSION

HYBRIDS: Final = frozenset({4587, 4588, 4589, 25497})
_GROUP_BITS: Final = {
    1: 163, 2: 163, 3: 163, 4: 193, 5: 193, 6: 233, 7: 233, 8: 239, 9: 283, 10: 283, 11: 409, 12: 409, 13: 571,
    14: 571, 15: 160, 16: 160, 17: 160, 18: 192, 19: 192, 20: 224, 21: 224, 22: 256, 23: 256, 24: 384, 25: 521,
    26: 256, 27: 384, 28: 512, 29: 256, 30: 448, 31: 256, 32: 384, 33: 512, 256: 2048, 257: 3072, 258: 4096,
    259: 6144, 260: 8192, 512: 512, 513: 768, 514: 1024, 4587: 256, 4588: 256, 4589: 384, 25497: 256,
}  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Form:
    """The shape of a hello: which rung of the ladder it stands on. `label` is for the evidence."""

    label: str
    rich: bool = False
    groups: tuple[int, ...] | None = None
    compressors: bytes = b"\x01\x40\x00"
    share: bool = False


WHOLE: Final = Form("all suites", rich=True)
CHUNKS: Final = Form("chunks of suites")
FEW: Final = Form("the classic suites", groups=(29, 23, 24), compressors=b"\0")
RETRY: Final = Form("all groups without a key share", groups=GROUPS_13)
RETRY_FEW: Final = Form("few groups without a key share", groups=GROUPS_13_SMALL)
SHARE: Final = Form("a real x25519 share", groups=GROUPS_13_SMALL, share=True)


@dataclass(slots=True, eq=False, repr=False)
class Attempted:
    """What one naming (with the server name, or without) came to."""

    outcome: Outcome = Outcome.NOT_ASKED
    evidence: list[str] = field(default_factory=list)
    last: Answer | None = None


@dataclass(slots=True, eq=False, repr=False)
class Finding:
    """All about one version, while it grows.

    `attempts` are by naming (True: with the server name). `form` and `named` are the shape of hello that the server
    answers; `hello` is its answer to the first such hello, whose extensions tell features. `exchanges` and
    `chains` are by suite.
    """

    version: Version
    attempts: dict[bool, Attempted] = field(default_factory=dict)
    form: Form = WHOLE
    named: bool = True
    hello: ServerHello | None = None
    suites: list[int] = field(default_factory=list)
    exchanges: dict[int, Exchange | int] = field(default_factory=dict)
    chains: dict[int, Chain] = field(default_factory=dict)
    suites_complete: bool = False
    preference: Preference = Preference.INDETERMINATE
    compressors: list[str] = field(default_factory=list)
    groups: list[int] = field(default_factory=list)
    groups_complete: bool = False
    schemes: tuple[str, ...] = ()
    only_with_name: bool = False
    only_without_name: bool = False
    evidence: list[str] = field(default_factory=list)

    @property
    def accepted(self) -> bool:
        """True where a hello of that version was answered with a ServerHello of that version."""
        return self.hello is not None

    @property
    def chosen(self) -> int:
        """The suite that the server chose first."""
        assert self.hello is not None
        return self.hello.cipher_suite

    def ask(self, known: Known, suites: list[int] | tuple[int, ...], label: str, want: Want = Want.FIRST) -> Ask:
        """A question with those suites in the form that the server answers."""
        return Ask(known.hello(self.version, self.form, suites, self.named), want, label=label)

    def has_chosen(self, answer: Answer) -> bool:
        """True where the answer is a ServerHello of this version."""
        return (
            answer.kind is Kind.SERVER_HELLO
            and answer.hello is not None
            and answer.hello.version_number == self.version.wire
        )


@dataclass(slots=True, eq=False, repr=False)
class Known:
    """All about one endpoint, while it grows. `small` says that big hellos did not pass where small ones did, `facts`
    are what was asked for after versions and suites. `pace` tells how much may be asked at once (None: one question),
    `orders` what servers have been seen to choose.
    """

    target: Target
    hellos: Hellos
    full: bool = True
    order: bool = True
    groups: bool = True
    small: bool = False
    pace: Pace | None = None
    orders: Orders = field(default_factory=Orders)
    findings: dict[Version, Finding] = field(default_factory=dict)
    facts: Facts | None = None

    def hello(
        self,
        version: Version,
        form: Form,
        suites: list[int] | tuple[int, ...],
        named: bool = True,
        groups: tuple[int, ...] | None = None,
        compressors: bytes | None = None,
    ) -> bytes:
        """A hello of that version and form."""
        groups = form.groups if groups is None else groups
        if version is Version.TLS1_3:
            return self.hellos.tls13(suites, named=named, groups=groups or GROUPS_13, share=form.share)
        methods = form.compressors if compressors is None else compressors
        return self.hellos.early(version, suites, named=named, rich=form.rich, groups=groups, compressors=methods)

    @property
    def width(self) -> int:
        """How many questions of one script may be out at once now: one, but at an endpoint far away."""
        return self.pace.width if self.pace is not None and self.pace.far else 1

    @property
    def accepted(self) -> list[Finding]:
        """The versions that are accepted, newest first."""
        return sorted((found for found in self.findings.values() if found.accepted), key=lambda f: -f.version.rank)

    @property
    def chains(self) -> dict[Chain, list[Version]]:
        """Every certificate chain that came along, and the versions that it came with."""
        found: dict[Chain, list[Version]] = {}
        for finding in self.findings.values():
            for chain in finding.chains.values():
                versions = found.setdefault(chain, [])
                if finding.version not in versions:
                    versions.append(finding.version)
        return found


@lru_cache(maxsize=1024)
def fingerprint(certificate: bytes) -> str:
    """The SHA-256 of a certificate."""
    return hashlib.sha256(certificate).hexdigest()


def group_bits(group: int) -> int:
    """The size of a named group; of a hybrid that of its classic half."""
    return _GROUP_BITS.get(group, 0)


def key_exchange(suite: int, seen: Exchange | int | None, chain: Chain) -> KeyExchange | None:
    """What a suite's key exchange rests on: a group, a prime, or the certificate's own key."""
    if isinstance(seen, int):
        return KeyExchange(group_name(seen), group_bits(seen))
    if seen is not None:
        if seen.kind == "ecdh":
            return KeyExchange(group_name(seen.group), group_bits(seen.group))
        if seen.kind == "dh":
            return KeyExchange("dh", seen.bits, prime_name(seen.prime))
        return KeyExchange("rsa", seen.bits)
    name = suite_name(suite).removeprefix("TLS_")
    if not chain or not name.startswith(("RSA_", "ECDH_", "DH_")) or "anon" in name:
        return None
    key = public_key(chain[0])
    if name.startswith("RSA_"):
        return KeyExchange("rsa", key.bits) if key.kind == "rsa" else None
    return KeyExchange(key.curve, key.bits) if key.curve else None


def version_report(finding: Finding, outcome: Outcome, evidence: tuple[str, ...]) -> VersionReport:
    """The finding as a value of the report."""
    suites = []
    for code in finding.suites:
        chain = finding.chains.get(code, ())
        exchange = key_exchange(code, finding.exchanges.get(code), chain)
        suites.append(SuiteReport(code, suite_name(code), exchange, fingerprint(chain[0]) if chain else ""))
    return VersionReport(
        finding.version,
        outcome,
        evidence,
        tuple(suites),
        finding.suites_complete,
        finding.preference,
        tuple(finding.compressors),
        tuple(GroupReport(code, group_name(code), group_bits(code), code in HYBRIDS) for code in finding.groups),
        finding.groups_complete,
        finding.schemes,
        finding.only_without_name,
        finding.only_with_name,
    )
