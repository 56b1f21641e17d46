"""nmap's two forms: every state of an endpoint, strangers' words, the document type, and readers of others."""

from __future__ import annotations

import gc
import io
import re
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from libnmap.parser import NmapParser
from tests.support import nmap_xml
from tests.support.nmap_dtd import DocumentType
from tests.unit.scan.made import accepted, certificate, endpoint, refused, suite

from plimsoll.scan.report import (
    Control,
    EndpointReport,
    KeyExchange,
    Outcome,
    Preference,
    State,
    Target,
    VersionReport,
)
from plimsoll.scan.reports.nmap_text import NmapTextWriter
from plimsoll.scan.reports.nmap_xml import NmapXmlWriter
from plimsoll.tls.suites import CIPHER_SUITES
from plimsoll.tls.versions import Version

RSA = certificate(key="rsa", key_bits=2048, curve="", exponent=65537, signature="sha256WithRSAEncryption")


def text_of(*reports: EndpointReport) -> str:
    out = io.StringIO()
    writer = NmapTextWriter(out, started=1.8e9)
    writer.begin()
    for report in reports:
        writer.add(report)
    writer.end()
    return out.getvalue()


def xml_of(*reports: EndpointReport) -> str:
    out = io.StringIO()
    writer = NmapXmlWriter(out, arguments=["a b", "--format", "nmap-xml"], started=1.8e9)
    writer.begin()
    for report in reports:
        writer.add(report)
    writer.end()
    return out.getvalue()


def guide() -> EndpointReport:
    """R18's sample: a relay that accepts TLS 1.2 only."""
    codes = [0xC030, 0xC02F, 0xC028, 0xC027, 0x9D, 0x9C, 0x3D, 0x3C, 0x35, 0x2F, 0x0A]
    suites = [suite(code, KeyExchange("secp256r1", 256) if code > 0xFF else None) for code in codes]
    seen = replace(accepted(Version.TLS1_2, suites), preference=Preference.SERVER)
    report = endpoint(seen, refused(Version.TLS1_3), certificates=[RSA])
    return replace(report, target=Target("192.0.2.7", 4122), address="192.0.2.7")


@pytest.mark.rule("R18")
def test_the_form_of_the_guides_sample() -> None:
    block = text_of(guide()).split("\n\n")
    assert block[0].splitlines()[1:] == ["Nmap scan report for 192.0.2.7", "Host is up."]
    assert block[1].splitlines() == [
        "PORT     STATE SERVICE",
        "4122/tcp open  fprams",
        "| ssl-enum-ciphers: ",
        "|   TLSv1.2: ",
        "|     ciphers: ",
        "|       TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 (secp256r1) - A",
        "|       TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 (secp256r1) - A",
        "|       TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384 (secp256r1) - A",
        "|       TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256 (secp256r1) - A",
        "|       TLS_RSA_WITH_AES_256_GCM_SHA384 (rsa 2048) - A",
        "|       TLS_RSA_WITH_AES_128_GCM_SHA256 (rsa 2048) - A",
        "|       TLS_RSA_WITH_AES_256_CBC_SHA256 (rsa 2048) - A",
        "|       TLS_RSA_WITH_AES_128_CBC_SHA256 (rsa 2048) - A",
        "|       TLS_RSA_WITH_AES_256_CBC_SHA (rsa 2048) - A",
        "|       TLS_RSA_WITH_AES_128_CBC_SHA (rsa 2048) - A",
        "|       TLS_RSA_WITH_3DES_EDE_CBC_SHA (rsa 2048) - C",
        "|     compressors: ",
        "|       NULL",
        "|     cipher preference: server",
        "|     warnings: ",
        "|       64-bit block cipher 3DES vulnerable to SWEET32 attack",
        "|_  least strength: C",
    ]


def test_suites_of_a_server_without_an_order_are_sorted_and_tls13_has_nmaps_names() -> None:
    rows = [line.strip("| ") for line in text_of(endpoint()).splitlines()]
    names = [row.split(" ")[0] for row in rows if row.startswith("TLS_AKE")]
    assert names == [
        "TLS_AKE_WITH_AES_128_GCM_SHA256",
        "TLS_AKE_WITH_AES_256_GCM_SHA384",
        "TLS_AKE_WITH_CHACHA20_POLY1305_SHA256",
    ]
    assert rows.count("compressors: ") <= 1, "TLS 1.3 has none"


def test_one_suite_has_no_order() -> None:
    text = text_of(endpoint(accepted(Version.TLS1_2, [0xC02B])))
    assert "|     cipher preference: indeterminate\n|     cipher preference error: Too few ciphers supported\n" in text


def test_an_order_that_was_not_found_out_is_not_claimed() -> None:
    seen = replace(accepted(Version.TLS1_2, [0xC02B, 0xC02C]), preference=Preference.INDETERMINATE)
    text = text_of(endpoint(seen))
    assert "|     cipher preference error: not found out\n" in text
    assert "preference: indeterminate" not in text


def test_ssl2_has_the_form_of_its_own_script() -> None:
    seen = VersionReport(Version.SSL2, Outcome.ACCEPTED, suites=(suite(0x010080),), suites_complete=True)
    text = text_of(endpoint(seen))
    assert "| sslv2: \n|   SSLv2 supported\n|   ciphers: \n|_    SSL2_RC4_128_WITH_MD5\n" in text


@pytest.mark.rule("R18")
def test_what_stayed_open_is_said_and_not_left_out() -> None:
    """nmap drops a version that does not answer; a filter that looks for it would take that for a refusal."""
    seen = VersionReport(Version.TLS1_0, Outcome.INCONCLUSIVE, ("connection reset to all suites",))
    text = text_of(endpoint(seen))
    assert "| tls-not-proved: \n|   TLSv1.0: \n|_    connection reset to all suites\n" in text
    asked = endpoint(VersionReport(Version.SSL3, Outcome.NOT_ASKED))
    assert "|   SSLv3: \n|_    not asked\n" in text_of(asked)
    partial = endpoint(replace(accepted(Version.TLS1_2, [0xC02B]), suites_complete=False))
    assert "TLSv1.2: accepted, but the list of its ciphers is not proved to be whole" in text_of(partial)
    assert "did not answer after" in text_of(endpoint(control=Control(held=False)))
    assert "tls-not-proved" not in text_of(endpoint())


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"state": State.UNREACHABLE, "note": "connection refused"}, "443/tcp closed https"),
        ({"state": State.UNREACHABLE, "note": "no answer in time: connect"}, "443/tcp filtered https"),
        ({"state": State.NOT_TLS, "note": "plain HTTP"}, "https\n| tls-not-proved: \n|_  no TLS there: plain HTTP"),
        ({"state": State.UNREACHABLE, "note": "no such name", "address": ""}, 'Failed to resolve "target.test".'),
        ({}, "Nmap scan report for target.test (127.0.0.1)"),
    ],
)  # fmt: skip
def test_states(changes: dict[str, Any], expected: str) -> None:
    if changes:
        changes["versions"] = {version: VersionReport(version, Outcome.NOT_ASKED) for version in Version}
    report = endpoint(**changes)
    assert expected in text_of(report)
    check(xml_of(report))


def check(text: str) -> ElementTree.Element:
    root = ElementTree.fromstring(text)
    assert DocumentType().faults(root) == []
    return root


def test_the_validator_finds_faults() -> None:
    broken = ElementTree.fromstring('<host><address addr="x" colour="red"/><status state="gone" reason=""/></host>')
    assert DocumentType().faults(broken) == [
        "host holds address,status,",
        "address has colour",
        "status lacks reason_ttl",
        "status state is gone",
    ]


@pytest.mark.rule("R18")
def test_the_xml_holds_to_the_document_type_and_says_what_the_text_says() -> None:
    reports = [guide(), endpoint(), replace(endpoint(), target=Target("::1", 8443), address="::1")]
    text = xml_of(*reports)
    root = check(text)
    assert root.get("scanner") == "nmap"
    assert root.get("args") == "plimsoll scan 'a b' --format nmap-xml"
    assert [address.get("addrtype") for address in root.iter("address")] == ["ipv4", "ipv4", "ipv6"]
    assert root.find("runstats/hosts").attrib == {"up": "3", "down": "0", "total": "3"}  # type: ignore[union-attr]
    seen = nmap_xml.read(text)
    sample = seen[("192.0.2.7", 4122)]
    assert sample.least == "C"
    assert list(sample.versions) == ["TLSv1.2"]
    assert sample.versions["TLSv1.2"].suites[-1] == ("TLS_RSA_WITH_3DES_EDE_CBC_SHA", "rsa 2048", "C")
    assert sample.versions["TLSv1.2"].preference == "server"
    shown = next(script.get("output") for script in root.iter("script"))
    block = text_of(guide()).split("| ssl-enum-ciphers: ")[1].split("\n\n")[0]
    assert shown == re.sub(r"(?m)^\|[ _]", "", block)


def test_a_library_of_others_reads_the_same() -> None:
    parsed = NmapParser.parse_fromstring(xml_of(guide()))
    (host,) = parsed.hosts
    (service,) = host.services
    assert (host.address, host.is_up(), service.port, service.state) == ("192.0.2.7", True, 4122, "open")
    (script,) = service.scripts_results
    assert script["id"] == "ssl-enum-ciphers"
    assert script["elements"]["least strength"] == "C"
    rows = script["elements"]["TLSv1.2"]["ciphers"][None]
    assert rows[0] == {
        "name": "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        "kex_info": "secp256r1",
        "strength": "A",
    }


WORDS = st.text(alphabet=st.characters(codec=None, exclude_categories=[]), max_size=30)


@given(WORDS, WORDS, st.lists(st.sampled_from(sorted(CIPHER_SUITES)), max_size=5, unique=True))
def test_strangers_words_break_neither_form(note: str, sentence: str, codes: list[int]) -> None:
    odd = endpoint(
        VersionReport(Version.TLS1_0, Outcome.INCONCLUSIVE, (sentence,)),
        accepted(Version.TLS1_2, codes),
        note=note,
        target=Target("target.test", 443),
    )
    check(xml_of(odd, replace(odd, state=State.NOT_TLS), replace(odd, state=State.UNREACHABLE, address="")))
    for line in text_of(odd, replace(odd, state=State.NOT_TLS)).split("\n"):
        assert line.isprintable()


def test_a_document_without_its_end_is_no_document() -> None:
    out = io.StringIO()
    writer = NmapXmlWriter(out)
    writer.begin()
    writer.add(endpoint())
    with pytest.raises(ElementTree.ParseError):
        ElementTree.fromstring(out.getvalue())


class _Sink(io.TextIOBase):
    def write(self, text: str) -> int:
        return len(text)


@pytest.mark.parametrize("make", [NmapTextWriter, NmapXmlWriter])
def test_many_reports_need_no_memory(make: Any) -> None:
    writer = make(_Sink())
    writer.begin()

    def some() -> Iterator[EndpointReport]:
        for number in range(700):
            yield replace(guide(), target=Target(f"192.0.2.{number % 250}", number + 1))

    held = []
    tracemalloc.start()
    try:
        for number, report in enumerate(some()):
            writer.add(report)
            if number % 200 == 199:
                gc.collect()
                held.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert held[-1] - held[0] < 50_000


def test_the_document_type_is_there() -> None:
    assert Path("/usr/share/nmap/nmap.dtd").exists()
