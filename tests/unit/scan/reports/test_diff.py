"""What changed: opened, closed, changed, no longer proved; and what may not be concluded from half a list."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import replace

import pytest
from tests.unit.scan.made import accepted, certificate, endpoint, refused

from plimsoll.scan.report import EndpointReport, Features, Outcome, Preference, State, Target, VersionReport
from plimsoll.scan.reports.diff import Change, Difference, DiffWriter, Kind, compare, exit_code
from plimsoll.tls.versions import Version

OPEN = VersionReport(Version.TLS1_0, Outcome.INCONCLUSIVE, ("connection reset",))
OLD_TLS = accepted(Version.TLS1_0, [0x002F])
GONE = EndpointReport(Target("target.test", 443, server_name="target.test"), State.UNREACHABLE, note="refused")


def changes(old: EndpointReport, new: EndpointReport) -> set[tuple[Kind, str]]:
    return {(change.kind, change.text) for change in compare(old, new).changes}


def test_the_same_is_the_same() -> None:
    assert compare(endpoint(), endpoint()) == Difference(True)
    assert compare(None, endpoint()) == Difference(False)


@pytest.mark.parametrize(
    ("before", "after", "kind", "text"),
    [
        (refused(Version.TLS1_0), OLD_TLS, Kind.OPENED, "TLSv1.0 is accepted, was refused"),
        (OPEN, OLD_TLS, Kind.OPENED, "TLSv1.0 is accepted, was not proved"),
        (OLD_TLS, refused(Version.TLS1_0), Kind.CLOSED, "TLSv1.0 is refused, was accepted"),
        (OPEN, refused(Version.TLS1_0), Kind.CLOSED, "TLSv1.0 is refused, was not proved"),
        (refused(Version.TLS1_0), OPEN, Kind.UNPROVED, "TLSv1.0 is not proved, was refused: connection reset"),
        (OLD_TLS, OPEN, Kind.UNPROVED, "TLSv1.0 is not proved, was accepted: connection reset"),
    ],
)
def test_versions(before: VersionReport, after: VersionReport, kind: Kind, text: str) -> None:
    assert changes(endpoint(before), endpoint(after)) == {(kind, text)}


def test_a_version_that_was_not_asked_for_is_not_compared() -> None:
    asked = VersionReport(Version.TLS1_0, Outcome.NOT_ASKED)
    assert not changes(endpoint(asked), endpoint(OLD_TLS))
    assert not changes(endpoint(OLD_TLS), endpoint(asked))


def test_suites_and_groups() -> None:
    old = endpoint(accepted(Version.TLS1_2, [0xC02B, 0xC02C], ["x25519"]))
    new = endpoint(accepted(Version.TLS1_2, [0xC02B, 0x000A], ["x25519", "secp256r1"]))
    assert changes(old, new) == {
        (Kind.OPENED, "TLSv1.2 accepts TLS_RSA_WITH_3DES_EDE_CBC_SHA"),
        (Kind.CLOSED, "TLSv1.2 does not accept TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 any more"),
        (Kind.OPENED, "TLSv1.2 accepts secp256r1"),
    }


def test_half_a_list_closes_nothing() -> None:
    whole = accepted(Version.TLS1_2, [0xC02B, 0xC02C])
    half = replace(whole, suites=whole.suites[:1], suites_complete=False)
    assert {kind for kind, _ in changes(endpoint(whole), endpoint(half))} == {Kind.UNPROVED}
    assert not changes(endpoint(half), endpoint(whole))


def test_the_order_of_suites() -> None:
    served = replace(accepted(Version.TLS1_2, [0xC02B, 0xC02C]), preference=Preference.SERVER)
    turned = replace(served, suites=served.suites[::-1])
    clients = replace(served, preference=Preference.CLIENT)
    assert changes(endpoint(served), endpoint(turned)) == {
        (Kind.CHANGED, "TLSv1.2: the server's order of suites is another one")
    }
    assert changes(endpoint(served), endpoint(clients)) == {
        (Kind.CHANGED, "TLSv1.2: the client's order counts, was the server's")
    }


def test_sweeps_compare_the_preferred_suite() -> None:
    one, other = (
        endpoint(replace(accepted(Version.TLS1_2, [code]), suites_complete=False, groups_complete=False), mode="sweep")
        for code in (0xC02B, 0x002F)
    )
    assert changes(one, other) == {
        (Kind.CHANGED, "TLSv1.2 prefers TLS_RSA_WITH_AES_128_CBC_SHA, was TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256")
    }
    assert not changes(replace(one, mode="full"), other)


def test_certificates_and_features() -> None:
    new = certificate(fingerprint="cd" * 32)
    old = endpoint(features=Features(tickets=True, alpn=("h2",)))
    found = changes(old, endpoint(certificates=[new], features=Features(tickets=False, alpn=(), early_data=False)))
    assert found == {
        (Kind.CHANGED, f"new certificate CN=target.test ({'cd' * 8}, until 2024-02-02)"),
        (Kind.CHANGED, f"certificate CN=target.test ({'ab' * 8}, until 2024-02-02) is not served any more"),
        (Kind.CHANGED, "tickets: no, was yes"),
    }
    assert changes(endpoint(), endpoint(certificates=[certificate(trust="expired")])) == {
        (Kind.CHANGED, f"certificate CN=target.test ({'ab' * 8}, until 2024-02-02): expired, was trusted")
    }
    assert not changes(endpoint(), endpoint(certificates=[]))


def test_endpoints_that_come_and_go() -> None:
    assert changes(endpoint(), GONE) == {(Kind.UNPROVED, "unreachable (refused), was complete")}
    assert changes(GONE, endpoint()) == {(Kind.OPENED, "speaks TLS (TLSv1.2, TLSv1.3), was unreachable")}
    assert not changes(GONE, replace(GONE, note="timed out"))
    assert {kind for kind, _ in changes(GONE, replace(GONE, state=State.NOT_TLS))} == {Kind.CHANGED}


@pytest.mark.parametrize(
    ("kinds", "code"),
    [
        ((), 0),
        ((Kind.CLOSED, Kind.CHANGED), 0),
        ((Kind.UNPROVED, Kind.CLOSED), 4),
        ((Kind.UNPROVED, Kind.OPENED), 3),
    ],
)
def test_the_exit_code(kinds: Iterable[Kind], code: int) -> None:
    assert exit_code(kinds) == code


def test_what_is_told() -> None:
    out = io.StringIO()
    writer = DiffWriter(out, colour=False)
    writer.add("a:1", Difference(True, (Change(Kind.OPENED, "version", "TLSv1.0 is accepted"),)))
    writer.add("b:1", Difference(True))
    writer.add("c:1", Difference(False))
    writer.end(["d:1"], "yesterday")
    assert out.getvalue().splitlines() == [
        "a:1",
        "  + TLSv1.0 is accepted",
        "c:1",
        "  ! not in the earlier scan",
        "d:1",
        "  ! only in the earlier scan",
        "2 endpoints compared with the scan of yesterday: 1 changed, 1 the same; 1 new, 1 not scanned this time",
    ]
