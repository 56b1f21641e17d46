"""Cipher profiles at a real gate, looked at with openssl: in force for the next hello, in place, tickets kept."""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.unit.net.conftest import Files
from tests.unit.net.running import RunningGate, ask, client, s_client, tls, until

from plimsoll.net.contexts import ServerContexts, served_suites
from plimsoll.net.sightings import NO_SHARED_SUITE, Outcome
from plimsoll.tls.cipher_profiles import CipherProfile
from plimsoll.tls.floors import FloorSnapshot
from plimsoll.tls.versions import Version

Start = Callable[..., RunningGate]

STRONG, MODERN, INTERMEDIATE, LEGACY = CipherProfile
CBC, GCM = "ECDHE-RSA-AES256-SHA384", "ECDHE-RSA-AES128-GCM-SHA256"


def set_profile(running: RunningGate, profile: CipherProfile) -> None:
    running.generation += 1
    floors = running.board.snapshot.floors
    snapshot = FloorSnapshot(running.generation, floors, ciphers={running.point: profile})
    running.call(lambda: running.board.publish(snapshot))


def agreed(running: RunningGate, *options: str) -> str | None:
    """The suite that ``openssl s_client`` got, None where it got none."""
    found = re.search(r"^New, \S+, Cipher is (\S+)$", s_client(running.port, *options), re.MULTILINE)
    assert found is not None
    return None if found[1] == "(NONE)" else found[1]


def of(suites: str) -> ssl.SSLContext:
    """A client of TLS 1.2 with these suites alone."""
    context = client(None)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(suites)
    return context


@pytest.mark.rule("R18")
@pytest.mark.parametrize("profile", list(CipherProfile), ids=str)
def test_a_profile_is_what_openssl_finds_at_the_gate(gate: Start, profile: CipherProfile) -> None:
    running = gate()
    set_profile(running, profile)
    found = []
    offered = [suite.openssl for suite in LEGACY.suites] + ["AES256-GCM-SHA384", "DHE-RSA-AES256-GCM-SHA384"]
    while offered:
        suite = agreed(running, "-tls1_2", "-cipher", ":".join(reversed(offered)))
        if suite is None:
            break
        found.append(suite)
        offered.remove(suite)
    assert found == [suite.openssl for suite in profile.suites], "in its order, whatever the client prefers"
    assert agreed(running, "-tls1_3") == "TLS_AES_256_GCM_SHA384", "no profile changes TLS 1.3"


def test_a_change_counts_for_the_next_hello_and_reaches_the_peer_as_an_alert(gate: Start) -> None:
    running = gate()
    contexts = running.contexts.modern, running.contexts.early
    assert agreed(running, "-tls1_2", "-cipher", CBC) == CBC
    set_profile(running, STRONG)
    said = s_client(running.port, "-tls1_2", "-cipher", CBC)
    assert "SSL alert number 40" in said
    assert agreed(running, "-tls1_2", "-cipher", f"{CBC}:{GCM}") == GCM
    set_profile(running, INTERMEDIATE)
    assert agreed(running, "-tls1_2", "-cipher", CBC) == CBC
    assert (running.contexts.modern, running.contexts.early) == contexts, "changed in place"
    assert [one.detail for one in running.sightings() if one.outcome is Outcome.FAILED] == [NO_SHARED_SUITE]


def test_tickets_go_on_with_a_suite_of_the_profile_and_end_without_one(gate: Start) -> None:
    running = gate()
    sessions = {}
    contexts = {suite: of(suite) for suite in (CBC, GCM)}
    for suite, context in contexts.items():
        with tls(running.port, context=context) as sock:
            assert ask(sock)["suite"] == suite
            sessions[suite] = sock.session
    set_profile(running, STRONG)
    with tls(running.port, context=contexts[GCM], session=sessions[GCM]) as sock:
        assert ask(sock)["resumed"] is True
    running.sightings()
    # OpenSSL resumes what it served once, whatever its suites are now: the gate ends it before a byte is read.
    with tls(running.port, context=contexts[CBC], session=sessions[CBC]) as sock, pytest.raises((EOFError, OSError)):
        ask(sock)
    until(lambda: len(running.log) > 0)
    (sighting,) = running.sightings()
    assert (sighting.outcome, sighting.detail) == (Outcome.FAILED, NO_SHARED_SUITE)


def test_connections_of_before_end_after_their_answer_where_their_suite_is_gone(gate: Start) -> None:
    running = gate()
    with tls(running.port, context=of(CBC)) as old, tls(running.port, context=of(GCM)) as good:
        assert ask(old)["suite"] == CBC
        assert ask(good)["suite"] == GCM
        set_profile(running, STRONG)
        assert old.recv(1) == b""
        assert ask(good)["suite"] == GCM


def test_peers_of_early_tls_meet_the_floor_and_not_the_profile(gate: Start) -> None:
    running = gate(floor=Version.TLS1_0)
    set_profile(running, STRONG)
    early = agreed(running, "-tls1", "-cipher", "ALL:@SECLEVEL=0")
    assert early is not None
    assert early not in {suite.openssl for suite in STRONG.suites}
    assert agreed(running, "-tls1_2", "-cipher", "AES256-SHA") is None


def test_the_early_suites_of_a_modern_peer_are_those_of_legacy(gate: Start) -> None:
    running = gate()
    assert agreed(running, "-tls1_2", "-cipher", "AES256-SHA") is None
    set_profile(running, LEGACY)
    assert agreed(running, "-tls1_2", "-cipher", "AES256-SHA") == "AES256-SHA"


def test_what_is_served_depends_on_the_keys(files: Files) -> None:
    ecdsa, rsa = files.identities
    assert served_suites([ecdsa, rsa], LEGACY) == LEGACY.suites
    assert [suite.openssl for suite in served_suites([rsa], STRONG)] == [
        "ECDHE-RSA-AES256-GCM-SHA384",
        "ECDHE-RSA-AES128-GCM-SHA256",
    ]
    assert all("ECDSA" in suite.openssl for suite in served_suites([ecdsa], LEGACY))


def test_a_profile_survives_new_certificates(files: Files, tmp_path: Path) -> None:
    contexts = ServerContexts(files.identities, client_ca=None)
    contexts.set_profile(STRONG)
    contexts.reload(files.identities[:1])  # the contexts are made anew: a kind of key is gone
    names = {one["name"] for one in contexts.modern.get_ciphers() if one["protocol"] != "TLSv1.3"}
    assert names == {suite.openssl for suite in STRONG.suites}
    assert contexts.serves()[Version.TLS1_2] == "ECDHE-ECDSA-AES256-GCM-SHA384"
