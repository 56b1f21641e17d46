"""Features of TLS 1.3, which lie behind its key exchange: handshakes of our own, as few as tell all of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from plimsoll.scan.asking import Ask, Script, Want
from plimsoll.scan.features import NOT_REQUESTED, PROTOCOLS, PROTOCOLS_SMALL, REQUESTED, REQUIRED, Facts
from plimsoll.scan.handshake13 import SCHEMES, Handshake13, Offer13, Seen13, Session13
from plimsoll.scan.keys13 import SUITES
from plimsoll.scan.knowledge import RETRY, Finding, Known
from plimsoll.scan.shares import GROUPS, SECP256R1, X25519
from plimsoll.tls.alerts import Alert
from plimsoll.tls.codepoints import scheme_name
from plimsoll.tls.versions import Version

#: What a server may sign with besides: Brainpool's curves and post-quantum signatures.
_ALL_SCHEMES: Final = (*SCHEMES, 0x081A, 0x081B, 0x081C, 0x0904, 0x0905, 0x0906)
#: So long a server may take to a handshake's end: some send no tickets, and do not close when told goodbye either.
_END: Final = 5.0
_FEW_GROUPS: Final = (X25519, SECP256R1, 24)
#: What a server says that insists on a certificate, after it was shown an empty one.
_INSISTS: Final = frozenset(
    {Alert.CERTIFICATE_REQUIRED, Alert.HANDSHAKE_FAILURE, Alert.BAD_CERTIFICATE, Alert.CERTIFICATE_UNKNOWN}
)


def scripts(known: Known, facts: Facts) -> Iterator[tuple[str, Script[None]]]:
    """The scripts for TLS 1.3, if it is accepted with a suite that is known here."""
    finding = known.findings.get(Version.TLS1_3)
    if finding is None or not finding.accepted or not any(code in SUITES for code in finding.suites):
        return
    yield "handshake of TLSv1.3", shake_hands(known, finding, facts)
    yield "signature schemes of TLSv1.3", ask_schemes(known, finding, facts)
    if not facts.alpn:
        yield "application protocols of TLSv1.3", ask_protocols(known, finding, facts)
    if finding.named and known.hellos.server_name and not finding.only_with_name:
        yield "certificates of TLSv1.3 without a name", ask_unnamed(known, finding, facts)


def read_certificate(known: Known, facts: Facts) -> Iterator[tuple[str, Script[None]]]:
    """For a sweep: the certificate of an endpoint that shows it in TLS 1.3 only."""
    finding = known.findings.get(Version.TLS1_3)
    if finding is not None and finding.accepted and not known.chains and finding.suites[0] in SUITES:
        yield "certificate", _read_certificate(known, finding, facts)


def offer_for(known: Known, finding: Finding, **changes: object) -> Offer13:
    """An offer in the form that the server answers, with a share for a group that it is known to accept."""
    small = _is_small(known, finding)
    groups = _FEW_GROUPS if small else GROUPS
    first = next((group for group in groups if group in finding.groups), None)
    if first is None and finding.hello is not None and finding.hello.group in groups:
        first = finding.hello.group
    values: dict[str, object] = {
        "server_name": known.hellos.server_name if finding.named else "",
        "suites": tuple(code for code in finding.suites if code in SUITES),
        "groups": groups,
        "shares": (X25519 if first is None else first,),
        "lean": small,
        **changes,
    }
    return Offer13(**values)  # type: ignore[arg-type]  # by name, as the class has them


def _is_small(known: Known, finding: Finding) -> bool:
    """Where big hellos do not pass."""
    return known.small or finding.form is not RETRY


def _shake(offer: Offer13, label: str, *, finish: bool = False, linger: bool = False) -> Script[Seen13 | None]:
    """One handshake, and what was seen of it, however it ended."""
    answer = yield Ask(
        want=Want.TALK,
        peer=lambda: Handshake13(offer, finish=finish, linger=linger),
        label=f"TLSv1.3, {label}",
        whole=_END if finish else 0.0,
    )
    return answer.talk.result if isinstance(answer.talk, Handshake13) else None


def shake_hands(known: Known, finding: Finding, facts: Facts) -> Script[None]:
    """A whole handshake, and a second one with the ticket that came of it."""
    offer = offer_for(known, finding)
    seen = yield from _shake(offer, "a whole handshake", finish=True)
    if seen is None:
        return
    _note(facts, seen)
    if seen.chain and not offer.lean:
        facts.staple = bool(facts.staple) or seen.staple is not None
    if seen.scheme is not None:
        facts.needs_certificate(REQUESTED if seen.certificate_requested else NOT_REQUESTED)
    if seen.certificate_requested and seen.alert in _INSISTS:
        facts.needs_certificate(REQUIRED)
    if not seen.finished or seen.alert is not None:
        return
    tickets = bool(seen.tickets)
    facts.tickets = bool(facts.tickets) or tickets
    label = "TLSv1.3 by ticket"
    facts.resumption[label] = False
    if not tickets:
        facts.early_data = False
        return
    facts.early_data = any(session.early_data for session in seen.tickets)
    resumed = yield from _resume(offer, seen.tickets[0])
    if resumed is False:
        # A server that keeps its sessions forgets one whose connection ends without its goodbye, so wait for that.
        again = yield from _shake(offer, "a handshake to its very end", finish=True, linger=True)
        if again is not None and again.tickets:
            resumed = yield from _resume(offer, again.tickets[0])
    if resumed is None:
        del facts.resumption[label]
    else:
        facts.resumption[label] = resumed


def _resume(offer: Offer13, session: Session13) -> Script[bool | None]:
    same = Offer13(offer.server_name, (session.suite,), offer.groups, offer.shares, session=session, lean=offer.lean)
    seen = yield from _shake(same, "resumption")
    return seen.resumed if seen is not None and seen.finished else None


def ask_schemes(known: Known, finding: Finding, facts: Facts) -> Script[None]:
    """What its CertificateVerify is made with; every certificate that it has shows on the way."""
    pool = list(_ALL_SCHEMES)
    found: list[int] = []
    while pool:
        seen = yield from _shake(offer_for(known, finding, schemes=tuple(pool)), "signature schemes")
        if seen is None or seen.scheme is None:
            break
        _note(facts, seen)
        if seen.scheme not in found:
            found.append(seen.scheme)
        if seen.scheme not in pool:
            finding.evidence.append(f"signed with {scheme_name(seen.scheme)}, which was not offered")
            break
        pool.remove(seen.scheme)
    finding.schemes = tuple(scheme_name(code) for code in found)


def ask_protocols(known: Known, finding: Finding, facts: Facts) -> Script[None]:
    """Application protocols, where no older version has told them already."""
    pool = list(PROTOCOLS_SMALL if _is_small(known, finding) else PROTOCOLS)
    found: list[bytes] = []
    while pool:
        seen = yield from _shake(offer_for(known, finding, alpn=tuple(pool)), "application protocols")
        if seen is None or seen.alpn is None or seen.alpn not in pool:
            break
        pool.remove(seen.alpn)
        found.append(seen.alpn)
    facts.alpn = tuple(name.decode("ascii") for name in found)


def ask_unnamed(known: Known, finding: Finding, facts: Facts) -> Script[None]:
    """The certificate that a client without a server name is shown."""
    seen = yield from _shake(offer_for(known, finding, server_name=""), "certificate without a name")
    if seen is not None:
        facts.add(seen.chain, Version.TLS1_3, named=False)


def _read_certificate(known: Known, finding: Finding, facts: Facts) -> Script[None]:
    seen = yield from _shake(offer_for(known, finding), "certificate")
    if seen is not None:
        facts.add(seen.chain, Version.TLS1_3)


def _note(facts: Facts, seen: Seen13) -> None:
    """Keep the chain, and whether its key was proved."""
    if not seen.chain:
        return
    facts.add(seen.chain, Version.TLS1_3)
    if seen.scheme is not None:
        from plimsoll.scan.certificates import proves_key

        proved = proves_key(seen.chain[0], seen.scheme, seen.signed, seen.signature)
        if proved is not None:
            facts.proved[seen.chain[0]] = proved and facts.proved.get(seen.chain[0], True)
