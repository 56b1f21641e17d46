"""Features of SSL 3 to TLS 1.2: a script for each, asked by hellos of our own, in the form that the server answers.

A value stays None where the answer did not tell. `Facts` gathers what these and `features13` find.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from plimsoll.scan.asking import Answer, Ask, Kind, Script, Want
from plimsoll.scan.hellos import GROUPS_EARLY, GROUPS_SMALL, SCHEMES_ALL, SCHEMES_SMALL
from plimsoll.scan.knowledge import WHOLE, Chain, Finding, Known
from plimsoll.scan.report import Features
from plimsoll.tls import extensions as ext
from plimsoll.tls.alerts import Alert
from plimsoll.tls.codepoints import EXT_GROUPS, EXT_SIGNATURE_ALGORITHMS, FALLBACK_SCSV, scheme_name
from plimsoll.tls.flight import Exchange, exchange_kind
from plimsoll.tls.hello import encode_client_hello
from plimsoll.tls.suite_parts import parts
from plimsoll.tls.versions import Version

_EXT_STATUS: Final = 5
_EXT_ENCRYPT_THEN_MAC: Final = 22
_EXT_MASTER_SECRET: Final = 23
_EXT_TICKET: Final = 35
_EXT_RENEGOTIATION: Final = 0xFF01

#: Who proves itself by a certificate.
_CERTIFIED: Final = frozenset({"RSA", "ECDSA", "DSS"})
#: As many suites as fit where only small hellos pass.
_FEW_SUITES: Final = 32
#: A server that chooses what was not offered, or the same twice, must not hold this up.
_MAX_ROUNDS: Final = 40

#: Protocols of TLS services by IANA's registry, those for the web first.
PROTOCOLS: Final = (
    b"h2", b"http/1.1", b"http/1.0", b"spdy/3.1", b"imap", b"pop3", b"managesieve", b"ftp", b"nntp", b"xmpp-client",
    b"xmpp-server", b"postgresql", b"tds/8.0", b"mqtt", b"dot", b"irc", b"radius/1.1", b"sunrpc", b"coap",
)  # fmt: skip

#: Those of them that fit into a small hello.
PROTOCOLS_SMALL: Final = PROTOCOLS[:3]

REQUESTED: Final = "requested"
REQUIRED: Final = "required"
NOT_REQUESTED: Final = "not requested"


@dataclass(slots=True)
class Facts:
    """What the scripts found. `chains` and `unnamed` are certificates beyond those that came with the suites."""

    secure_renegotiation: bool | None = None
    extended_master_secret: bool | None = None
    encrypt_then_mac: bool | None = None
    fallback_scsv: bool | None = None
    session_ids: bool | None = None
    tickets: bool | None = None
    resumption: dict[str, bool] = field(default_factory=dict)
    early_data: bool | None = None
    alpn: tuple[str, ...] = ()
    staple: bool | None = None
    client_certificate: str = ""
    chains: dict[Chain, set[Version]] = field(default_factory=dict)
    unnamed: dict[Chain, set[Version]] = field(default_factory=dict)
    #: By leaf: whether TLS 1.3's CertificateVerify was made with its key.
    proved: dict[bytes, bool] = field(default_factory=dict)

    def add(self, chain: Chain, version: Version, *, named: bool = True) -> None:
        """Keep a chain that came with that version."""
        if chain:
            (self.chains if named else self.unnamed).setdefault(chain, set()).add(version)

    def needs_certificate(self, state: str) -> None:
        """Keep the strictest of what was seen about client certificates."""
        order = ("", NOT_REQUESTED, REQUESTED, REQUIRED)
        self.client_certificate = max(self.client_certificate, state, key=order.index)

    def features(self, known: Known) -> Features:
        """As the report has them."""
        return Features(
            self.secure_renegotiation,
            self.extended_master_secret,
            self.encrypt_then_mac,
            self.fallback_scsv,
            self.session_ids,
            self.tickets,
            dict(self.resumption),
            self.early_data,
            self.alpn,
            needs_name(known),
            self.staple,
            self.client_certificate,
        )


def needs_name(known: Known) -> bool | None:
    """Whether every version that is accepted wants to hear a server name; SSL 3 cannot hear one."""
    able = [found for found in known.accepted if found.version >= Version.TLS1_0]
    if not able:
        return None
    return all(found.named and found.only_with_name for found in able)


def scripts(known: Known, facts: Facts) -> Iterator[tuple[str, Script[None]]]:
    """The scripts for the versions before TLS 1.3 that are accepted."""
    early = [found for found in known.accepted if Version.SSL3 <= found.version <= Version.TLS1_2 and found.suites]
    if not early:
        return
    newest = early[0]
    if newest.version is not Version.SSL3:
        yield "flight", read_flight(known, newest, facts)
        yield "encrypt-then-MAC", ask_encrypt_then_mac(known, early, facts)
        yield "application protocols", ask_protocols(known, newest, facts)
    elif newest.hello is not None:
        facts.secure_renegotiation = newest.hello.extension(_EXT_RENEGOTIATION) is not None
    yield "session ids", ask_session_ids(known, newest, facts)
    yield "fallback", ask_fallback(known, facts)
    for finding in early:
        if finding.version is Version.TLS1_2:
            yield "signature schemes", ask_schemes(known, finding)
        if finding.version is not Version.SSL3:
            yield f"resumption of {finding.version.label}", try_resumption(known, finding, facts)
    if newest.named and known.hellos.server_name and not newest.only_with_name:
        yield "certificates without a name", ask_unnamed(known, newest, facts)


# The hello


def hello_of(
    known: Known,
    finding: Finding,
    suites: Sequence[int],
    more: Sequence[ext.Extension] = (),
    *,
    schemes: Sequence[int] | None = None,
    named: bool | None = None,
) -> bytes:
    """A hello of the finding's version in a form like the one that was answered, with those extensions besides."""
    whole = finding.form is WHOLE
    if not whole:
        suites = suites[:_FEW_SUITES]
    block: list[ext.Extension] = []
    if finding.version is not Version.SSL3:
        if (finding.named if named is None else named) and known.hellos.server_name:
            block.append(ext.server_name(known.hellos.server_name))
        groups = GROUPS_EARLY if whole else finding.form.groups or GROUPS_SMALL
        block += [(_EXT_RENEGOTIATION, b"\0"), ext.number_list(EXT_GROUPS, groups), (11, b"\x01\x00")]
        if finding.version is Version.TLS1_2:
            offered = (SCHEMES_ALL if whole else SCHEMES_SMALL) if schemes is None else schemes
            block.append(ext.number_list(EXT_SIGNATURE_ALGORITHMS, offered))
        block += more
    return encode_client_hello(
        legacy_version=finding.version.wire,
        random=os.urandom(32),
        cipher_suites=suites,
        extensions=block,
        record_version=min(finding.version.wire, 0x0301),
    )


def certified(suites: Sequence[int]) -> list[int]:
    """Those with which a server shows a certificate."""
    return [code for code in suites if parts(code).auth in _CERTIFIED]


# The scripts


def read_flight(known: Known, finding: Finding, facts: Facts) -> Script[None]:
    """One whole flight with every extension that a ServerHello admits to."""
    more = [(_EXT_MASTER_SECRET, b""), (_EXT_TICKET, b""), (_EXT_STATUS, b"\x01\0\0\0\0")]
    suites = certified(finding.suites) or finding.suites
    answer = yield Ask(hello_of(known, finding, suites, more), Want.FLIGHT, label="features")
    if not finding.has_chosen(answer) or answer.hello is None:
        return
    hello, flight = answer.hello, answer.flight
    facts.secure_renegotiation = hello.extension(_EXT_RENEGOTIATION) is not None
    facts.extended_master_secret = hello.extension(_EXT_MASTER_SECRET) is not None
    facts.tickets = hello.extension(_EXT_TICKET) is not None
    if flight is not None and flight.complete:
        facts.needs_certificate(NOT_REQUESTED if flight.request is None else REQUESTED)
        if flight.certificates:
            facts.staple = bool(flight.status)


def ask_encrypt_then_mac(known: Known, early: Sequence[Finding], facts: Facts) -> Script[None]:
    """Servers answer the extension only where they choose a suite that it is for: CBC (RFC 7366)."""
    for finding in early:
        suites = [code for code in finding.suites if parts(code).mode == "CBC"]
        if not suites or finding.version is Version.SSL3:
            continue
        hello = hello_of(known, finding, suites, [(_EXT_ENCRYPT_THEN_MAC, b"")])
        answer = yield Ask(hello, label="encrypt-then-MAC")
        if finding.has_chosen(answer) and answer.hello is not None:
            facts.encrypt_then_mac = answer.hello.extension(_EXT_ENCRYPT_THEN_MAC) is not None
        return


def ask_session_ids(known: Known, finding: Finding, facts: Facts) -> Script[None]:
    """Without the ticket's extension, a server that keeps sessions gives this one a name."""
    answer = yield Ask(hello_of(known, finding, finding.suites), label="session ids")
    if finding.has_chosen(answer) and answer.hello is not None:
        facts.session_ids = bool(answer.hello.session_id)


def ask_fallback(known: Known, facts: Facts) -> Script[None]:
    """A hello of an older version that says it is a second try: RFC 7507 answers it with alert 86."""
    accepted = [found for found in known.accepted if found.version > Version.SSL2]
    older = next((found for found in accepted[1:] if found.suites), None)
    if older is None:
        return
    suites = [*(older.suites if older.form is WHOLE else older.suites[: _FEW_SUITES - 1]), FALLBACK_SCSV]
    answer = yield Ask(hello_of(known, older, suites), label="fallback")
    if answer.kind is Kind.ALERT and answer.alert is Alert.INAPPROPRIATE_FALLBACK:
        facts.fallback_scsv = True
    elif older.has_chosen(answer):
        facts.fallback_scsv = False


def ask_protocols(known: Known, finding: Finding, facts: Facts) -> Script[None]:
    """Offer all, strike out what was chosen, offer again: in the server's order where it has one."""
    pool = list(PROTOCOLS if finding.form is WHOLE else PROTOCOLS_SMALL)
    found: list[bytes] = []
    while pool:
        hello = hello_of(known, finding, finding.suites, [ext.alpn(pool)])
        answer = yield Ask(hello, label="application protocols")
        chosen = answer.hello.alpn if finding.has_chosen(answer) and answer.hello is not None else None
        if chosen is None or chosen not in pool:
            break
        pool.remove(chosen)
        found.append(chosen)
    facts.alpn = tuple(name.decode("ascii") for name in found)


def ask_schemes(known: Known, finding: Finding) -> Script[None]:
    """What TLS 1.2 signs its ServerKeyExchange with: strike out what was chosen until nothing is left."""
    suites = [code for code in certified(finding.suites) if exchange_kind(code) in ("ecdh", "dh")]
    pool = list(SCHEMES_ALL if finding.form is WHOLE else SCHEMES_SMALL)
    found: list[int] = []
    while suites and pool and len(found) < _MAX_ROUNDS:
        hello = hello_of(known, finding, suites, schemes=pool)
        answer = yield Ask(hello, Want.FLIGHT, label="signature schemes")
        scheme = _scheme(finding, answer)
        if scheme is None:
            break
        if scheme not in found:
            found.append(scheme)
        if scheme not in pool:
            finding.evidence.append(f"signed with {scheme_name(scheme)}, which was not offered")
            break
        pool.remove(scheme)
    finding.schemes = tuple(scheme_name(code) for code in found)


def _scheme(finding: Finding, answer: Answer) -> int | None:
    if not finding.has_chosen(answer) or answer.flight is None:
        return None
    exchange = answer.flight.exchange
    return exchange.scheme if isinstance(exchange, Exchange) else None


def ask_unnamed(known: Known, finding: Finding, facts: Facts) -> Script[None]:
    """The certificates of every kind that a client without a server name is shown."""
    by_kind: dict[str, list[int]] = {}
    for code in certified(finding.suites):
        by_kind.setdefault(parts(code).auth, []).append(code)
    for suites in by_kind.values():
        hello = hello_of(known, finding, suites, named=False)
        answer = yield Ask(hello, Want.FLIGHT, label="certificates without a name")
        if finding.has_chosen(answer) and answer.flight is not None:
            facts.add(answer.flight.certificates, finding.version, named=False)


def try_resumption(known: Known, finding: Finding, facts: Facts) -> Script[None]:
    """A real handshake and a second one with its session, by ticket and by session id."""
    from plimsoll.scan.talk_openssl import OpenSslTalk, Speaker

    version = finding.version
    speaker = Speaker(version, certified(finding.suites))
    if not speaker.able:
        return
    name = known.hellos.server_name if finding.named else ""
    for kind, tickets in (("ticket", True), ("session id", False)):
        label = f"{version.label} by {kind}"
        first = yield _talk(lambda t=tickets: speaker.talk(name, tickets=t), label)
        session = first.talk.result.session if isinstance(first.talk, OpenSslTalk) else None
        if session is None:
            if isinstance(first.talk, OpenSslTalk) and _wants_certificate(first.talk.result.error, facts):
                facts.needs_certificate(REQUIRED)
            return
        if (tickets and not session.has_ticket) or (not tickets and not session.id):
            facts.resumption[label] = False
            continue
        second = yield _talk(lambda t=tickets, s=session: speaker.talk(name, tickets=t, session=s), label)
        if isinstance(second.talk, OpenSslTalk) and second.talk.result.finished:
            facts.resumption[label] = second.talk.result.resumed


def _wants_certificate(error: str, facts: Facts) -> bool:
    """A refusal after the empty certificate that a server had asked for."""
    return facts.client_certificate == REQUESTED and "ALERT" in error


def _talk(peer: Any, label: str) -> Ask:
    return Ask(want=Want.TALK, peer=peer, label=f"resumption of {label}")
