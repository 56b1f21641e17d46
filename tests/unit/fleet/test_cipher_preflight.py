"""Who would be cut off by a cipher profile: judged by the suites that hellos offered, unknown said as unknown."""

from __future__ import annotations

import random
import time
from dataclasses import replace

import pytest

from plimsoll.fleet.cipher_preflight import Question, judge
from plimsoll.fleet.findings import Preflight
from plimsoll.fleet.kinds import Certainty
from plimsoll.fleet.parts import Fleet, Part, Program
from plimsoll.tls.cipher_profiles import CipherProfile, CipherSuite
from plimsoll.tls.floors import Point
from plimsoll.tls.versions import Version

STRONG, MODERN, INTERMEDIATE, LEGACY = CipherProfile
DAY = 1_700_000_000.0
CBC, GCM, BOTH, ANCIENT, NEWEST, CHACHA = "cbc", "gcm", "both", "3des", "new", "chacha"
OFFERS = {
    CBC: {0xC028, 0xC027, 0x00FF},
    GCM: {0xC02F},
    BOTH: {0xC028, 0xC02F, 0x002F},
    ANCIENT: {0x000A, 0x0005},
    NEWEST: {0x1301, 0x1302, 0xC028},
    CHACHA: {0xCCA8, 0xCCA9},
}


def ja4(mark: str) -> str:
    return f"t12i0300_{mark}_x"


def agent(mark: str = "", **values: object) -> Part:
    known = Part("a", "agent", "web-1", "10.0", offered=Version.TLS1_2, observed_at=DAY, last_seen=DAY, ja4=ja4(mark))
    return replace(known, **values)  # type: ignore[arg-type]


def program(mark: str, **values: object) -> Program:
    known = Program("p", "billing", offered=Version.TLS1_2, observed_at=DAY, ja4=ja4(mark))
    return replace(known, **values)  # type: ignore[arg-type]


def ask(
    *parts: Part,
    programs: tuple[Program, ...] = (),
    profile: CipherProfile = STRONG,
    served: tuple[CipherSuite, ...] | None = None,
) -> Preflight:
    suites = profile.suites if served is None else served
    points = {Point.HEARTBEAT: suites, Point.GUI: suites}
    return judge(Fleet.of(parts, programs), Question(profile, points, OFFERS))


@pytest.mark.rule("R12")
@pytest.mark.parametrize(
    ("mark", "profile", "blocks"),
    [
        (CBC, STRONG, True),
        (CBC, MODERN, True),
        (CBC, INTERMEDIATE, False),
        (GCM, STRONG, False),
        (BOTH, STRONG, False),
        (CHACHA, STRONG, True),
        (CHACHA, MODERN, False),
        (ANCIENT, LEGACY, True),
    ],
)
def test_a_peer_that_shares_no_suite_is_a_blocker(mark: str, profile: CipherProfile, blocks: bool) -> None:
    found = ask(agent(mark), profile=profile)
    assert (found.blocked, found.judged, found.clear) == (blocks, 1, 0 if blocks else 1)
    for finding in found.blockers:
        assert (finding.who, finding.point, finding.certainty) == ("web-1", Point.HEARTBEAT, Certainty.SEEN_OFFERING)


def test_the_finding_says_what_it_offers_of_ours_and_what_would_keep_it() -> None:
    (finding,) = ask(agent(CBC)).blockers
    assert finding.reason == (
        "it shares no cipher suite with strong; of ours it offers ECDHE-RSA-AES256-SHA384, ECDHE-RSA-AES128-SHA256"
    )
    assert "or keep intermediate, the strictest profile that has one for it" in finding.remedy
    assert "3 suites" in finding.evidence
    (finding,) = ask(agent(ANCIENT)).blockers
    assert "under any profile" in finding.reason
    assert "3DES or RC4 only are never supported" in finding.remedy
    assert ask(agent(CBC)).as_json()["to"] == "strong"


def test_what_the_certificates_do_not_serve_is_not_shared() -> None:
    ecdsa = tuple(suite for suite in STRONG.suites if "ECDSA" in suite.openssl)
    (finding,) = ask(agent(GCM), served=ecdsa).blockers
    assert "keep" not in finding.remedy


def test_tls_1_3_has_suites_of_its_own() -> None:
    assert ask(agent(NEWEST, offered=Version.TLS1_3)).is_clear
    assert ask(agent("", offered=Version.TLS1_3)).is_clear
    assert ask(agent(CBC, offered=Version.TLS1_3)).blocked, "it offers the version, and no suite of it"


def test_early_tls_is_the_floors_matter() -> None:
    found = ask(agent(CBC, offered=Version.TLS1_0))
    assert found.is_clear
    assert "the floor and exceptions decide" in found.noted[0].reason


def test_what_nobody_knows_is_unknown() -> None:
    (finding,) = ask(agent("")).blockers
    assert (finding.certainty, finding.reason[:8]) == (Certainty.NEVER_SEEN, "unknown:")
    (finding,) = ask(agent("", offered=None, last_seen=None)).blockers
    assert "no handshake of its own was seen" in finding.reason
    assert ask(agent("", version="12.0.3")).is_clear, "agents of ours offer ECDHE with AES-GCM"
    assert ask(agent("", version="12.0.3", offered=None)).is_clear
    assert ask(agent("", version="12.0.3", offered=None, last_seen=None, observed_at=None)).blocked
    assert ask(agent(CBC, version="12.0.3")).blocked, "what was observed beats the table"


def test_only_who_meets_the_point_is_judged() -> None:
    elsewhere = agent(CBC, points=frozenset({Point.AGENT, Point.RELAY}))
    manager = Part("m", "manager", "m", "12.0")
    database = Part("d", "database", "d")
    assert ask(elsewhere, manager, database).judged == 0
    fleet = Fleet.of([agent(CBC)], [program(CBC)])
    assert judge(fleet, Question(STRONG, {Point.GUI: STRONG.suites}, OFFERS)).judged == 1


@pytest.mark.rule("R12")
def test_programs_are_affected_and_never_block() -> None:
    unknown = program("", id="q", name="unknown")
    silent = program("", id="r", name="silent", offered=None)
    found = ask(programs=(program(CBC), program(GCM, id="g"), unknown, silent))
    assert not found.blocked
    assert [one.who for one in found.affected] == ["billing"]
    assert [one.who for one in found.noted] == ["silent", "unknown"]
    assert (found.judged, found.clear) == (4, 3)


def test_the_order_never_depends_on_the_input_and_a_large_fleet_takes_a_second() -> None:
    parts = [agent(CBC if n % 10 == 0 else GCM, id=f"{n}", name=f"host-{n % 7}-{n}") for n in range(100_000)]
    mixed = random.Random(7).sample(parts, len(parts))
    begun = time.process_time()
    one = ask(*parts)
    took = time.process_time() - begun
    assert len(one.blockers) == 10_000
    assert one == ask(*mixed)
    assert took < 3.0, "a second on an idle machine"
