"""The table: a page with everything of one endpoint, a line for each of many, and nothing that steers a terminal."""

from __future__ import annotations

import io
import re
from typing import Any

from tests.unit.scan.made import accepted, certificate, endpoint

from plimsoll.scan.profiles import ProfileVerdict, judge
from plimsoll.scan.report import Control, EndpointReport, Features, Outcome, State, Target, VersionReport
from plimsoll.scan.reports.table import TableWriter
from plimsoll.tls.versions import Version

WEAK = endpoint(
    accepted(Version.TLS1_0, [0xC009, 0xC008]),
    VersionReport(Version.TLS1_1, Outcome.INCONCLUSIVE, ("connection reset to all suites",)),
    features=Features(secure_renegotiation=False, alpn=("h2", "http/1.1"), resumption={"TLSv1.3": True}),
    control=Control(True, 2, ("round 2: TLSv1.1 asked again, slower",)),
    state=State.INCOMPLETE,
    started=1.7e9,
    ended=1.7e9 + 1.5,
    connections=42,
)


def shown(*reports: EndpointReport, pages: bool = True, colour: bool = False, **options: Any) -> str:
    out = io.StringIO()
    writer = TableWriter(out, pages=pages, colour=colour, **options)
    writer.begin()
    for report in reports:
        writer.add(report)
    writer.end()
    return out.getvalue()


def floor(report: EndpointReport) -> tuple[ProfileVerdict, ...]:
    return (judge(report, "floor:TLSv1.2"), judge(report, "floor:TLSv1"))


def test_a_page_has_all_of_one_endpoint_on_a_screen() -> None:
    text = shown(WEAK)
    lines = text.splitlines()
    assert lines[0] == "target.test:443 (127.0.0.1)"
    assert re.fullmatch(r"incomplete; \d{4}-\d\d-\d\d \d\d:\d\d:\d\d [A-Z+0-9-]+, 1.50 s, 42 connections", lines[1])
    assert "SSLv2    refused    alert protocol_version (70) to all suites" in lines
    assert "TLSv1.0  accepted  2 suites, the client's order counts" in lines
    assert "TLSv1.1  NOT PROVED connection reset to all suites" in lines
    assert "  C  TLS_ECDHE_ECDSA_WITH_3DES_EDE_CBC_SHA          x25519" in lines
    assert "weakest  C" in lines
    assert "     groups: X25519MLKEM768 (post-quantum), x25519, secp256r1, secp384r1" in lines
    assert "certificate CN=target.test" in lines
    assert "     trusted, the name fits" in lines
    assert "features secure renegotiation no, resumes TLSv1.3 yes, ALPN h2 http/1.1" in lines
    assert "control  round 2: TLSv1.1 asked again, slower" in lines
    assert "! TLSv1.0 is accepted, which RFC 8996 prohibits" in lines
    assert "! TLSv1.0: 64-bit block cipher 3DES vulnerable to SWEET32 attack" in text
    assert len(lines) <= 50
    assert "\x1b" not in text


def test_versions_stand_in_their_order_and_suites_in_the_servers() -> None:
    text = shown(endpoint())
    assert [line[:7].strip() for line in text.splitlines() if line.startswith(("SSLv", "TLSv"))] == [
        version.label for version in Version
    ]
    assert text.index("TLS_AES_128_GCM_SHA256") < text.index("TLS_AES_256_GCM_SHA384") < text.index("CHACHA20")


def test_profiles_are_told_with_rule_reason_and_source() -> None:
    text = shown(WEAK, verdicts=floor)
    assert "floor:TLSv1.2 does not hold" in text
    assert "  ! tlsv1-refused: TLSv1.0 is accepted [the floor asked for (TLSv1.2); RFC 8996]" in text
    assert "  ? tlsv1.1-refused: TLSv1.1 is not proved [the floor" in text
    assert "floor:TLSv1 holds" in text


def test_many_endpoints_have_a_line_each_and_a_sum() -> None:
    gone = EndpointReport(Target("gone.test", 443), State.UNREACHABLE, note="connection refused")
    text = shown(WEAK, endpoint(), gone, pages=False, verdicts=floor)
    lines = text.splitlines()
    assert lines[0].split() == ["ENDPOINT", "ACCEPTS", "PROVED", "PREFERRED", "SUITE,", "CERTIFICATE"]
    assert lines[1].startswith("target.test:443                  1.0 1.2 1.3      NO     TLS_AES_128_GCM_SHA256; CN=")
    assert lines[2:5] == [
        "  floor:TLSv1.2 does not hold",
        "    ! tlsv1-refused: TLSv1.0 is accepted",
        "    ? tlsv1.1-refused: TLSv1.1 is not proved",
    ]
    assert lines[5].startswith("target.test:443                  1.2 1.3          yes ")
    assert "gone.test:443                    unreachable: connection refused" in lines
    assert "3 endpoints: 1 incomplete, 1 complete, 1 unreachable" in lines
    assert "floor:TLSv1.2 is not proved at 1 endpoint" in lines


def test_colours_only_where_asked_for() -> None:
    text = shown(WEAK, colour=True, verdicts=floor)
    assert "\x1b[31mTLSv1.0  accepted" in text
    assert re.sub(r"\x1b\[\d+m", "", text) == shown(WEAK, verdicts=floor)


def test_what_a_server_says_does_not_steer_the_terminal() -> None:
    evil = certificate(subject="CN=\x1b[2J\x1b]0;owned\x07", faults=("\rnothing is wrong",))
    text = shown(endpoint(certificates=[evil], note="banner \x1b[31m"), colour=False)
    assert not set(text) & set("\x1b\x07\r")
    assert "CN=?[2J?]0;owned?" in text


def test_long_sentences_are_wrapped_and_lose_nothing() -> None:
    long = VersionReport(Version.SSL3, Outcome.INCONCLUSIVE, tuple(f"reset number {number}" for number in range(20)))
    text = shown(endpoint(long), width=70)
    assert max(map(len, text.splitlines())) <= 70
    assert " ".join(text.split()).count("reset number") == 20
