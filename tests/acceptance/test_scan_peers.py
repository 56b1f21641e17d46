"""The scanner beside nmap and sslscan, on servers of six makes configured at random by seed.

Where we differ from nmap, the difference must be of a class that docs/scan.md lists, and a third client (openssl) is
asked who is right.
"""

from __future__ import annotations

import itertools
import os
import random
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from tests.support import nmap_xml
from tests.support.nmap_xml import Graded, Seen
from tests.support.tls_servers import Files, Setup, draw, serving

from plimsoll.scan.engine import scan_many
from plimsoll.scan.grade import grade, least_strength
from plimsoll.scan.options import Options
from plimsoll.scan.report import EndpointReport, KeyExchange, Outcome, Preference, State, Target, VersionReport
from plimsoll.tls.versions import Version

DEEP = bool(os.environ.get("PLIMSOLL_DEEP"))
SEED = int(os.environ.get("PLIMSOLL_SEED", "20261124"))
HOW_MANY = {"nginx": 13, "haproxy": 10, "openssl": 6, "gnutls": 5, "postgresql": 3, "dovecot": 4}


@dataclass(slots=True)
class Bench:
    """All servers, asked by all three."""

    places: dict[Setup, tuple[str, int]]
    ours: dict[Setup, EndpointReport]
    nmap: dict[Setup, Seen]


def setups() -> list[Setup]:
    number = random.Random(SEED)
    times = 5 if DEEP else 1
    drawn = {
        draw(make, number, weak=make != "dovecot") for make, count in HOW_MANY.items() for _ in range(count * times)
    }
    return sorted(drawn, key=str)


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    files = Files.make(tmp_path_factory.mktemp("servers"))
    with serving(setups(), files) as places:
        by_place = {place: setup for setup, place in places.items()}
        reports: dict[Setup, EndpointReport] = {}

        def take(report: EndpointReport) -> None:
            reports[by_place[(report.target.host, report.target.port)]] = report

        targets = [
            Target(host, port, "postgres" if setup.make == "postgresql" else "")
            for setup, (host, port) in places.items()
        ]
        scan_many(targets, Options(features=False), take)
        seen: dict[tuple[str, int], Seen] = {}
        for host in {host for host, _ in places.values()}:
            seen |= nmap_xml.nmap(host, [port for other, port in places.values() if other == host])
        yield Bench(places, reports, {by_place[place]: found for place, found in seen.items()})


def test_there_are_enough_of_them(asked: Bench) -> None:
    assert len(asked.places) >= 40
    assert {setup.make for setup in asked.places} == set(HOW_MANY)


def test_only_a_server_that_refuses_without_a_word_leaves_questions_open(asked: Bench) -> None:
    """Dovecot closes without an alert: nothing tells its refusal from a fault, and so nothing is called refused."""
    for setup, report in asked.ours.items():
        if setup.make != "dovecot":
            assert report.state is State.COMPLETE, (str(setup), report)
            continue
        assert report.state is State.INCOMPLETE
        for seen in report.versions.values():
            if seen.outcome is not Outcome.ACCEPTED:
                assert seen.outcome is Outcome.INCONCLUSIVE
                assert "connection closed" in seen.evidence[0]


@pytest.mark.rule("R18")
def test_the_same_versions_and_suites_as_nmap(asked: Bench) -> None:
    wrong = []
    for setup, report in asked.ours.items():
        theirs = asked.nmap[setup].versions
        mine = accepted(report)
        if set(mine) != set(theirs):
            wrong.append(f"{setup}: versions {sorted(mine)} and {sorted(theirs)}")
        wrong += [
            f"{setup} {version}: {mine[version].suites} and {theirs[version].suites}"
            for version in set(mine) & set(theirs)
            if {suite.name for suite in mine[version].suites} != set(names(theirs[version]))
        ]
    assert wrong == []


@pytest.mark.rule("R18")
def test_the_same_order_and_preference_as_nmap_or_openssl_says_that_we_are_right(asked: Bench) -> None:
    """nmap tells whose order counts by one pair; a server that moves ChaCha20 to the front for those who ask for it
    first (OpenSSL's SSL_OP_PRIORITIZE_CHACHA) looks to it as if it had no order."""
    wrong = []
    for setup, report in asked.ours.items():
        for version, theirs in asked.nmap[setup].versions.items():
            mine = accepted(report)[version]
            if mine.preference.value == theirs.preference:
                if mine.preference is Preference.SERVER and [suite.name for suite in mine.suites] != names(theirs):
                    wrong.append(f"{setup} {version}: another order: {mine.suites} and {theirs.suites}")
                continue
            judged = order_by_openssl(asked.places[setup], setup, mine)
            if mine.preference is not judged:
                wrong.append(f"{setup} {version}: {mine.preference}, {theirs.preference}, openssl {judged}")
    assert wrong == []


@pytest.mark.rule("R18")
def test_the_same_key_exchange_as_nmap(asked: Bench) -> None:
    wrong = []
    for setup, report in asked.ours.items():
        for version, theirs in asked.nmap[setup].versions.items():
            exchanges = {suite.name: suite.exchange for suite in accepted(report)[version].suites}
            for name, (_, told, _) in zip(names(theirs), theirs.suites, strict=True):
                exchange = exchanges.get(name)
                if exchange is None or not same_exchange(exchange, told):
                    wrong.append(f"{setup} {version} {name}: {exchange} and {told!r}")
    assert wrong == []


@pytest.mark.rule("R18")
def test_the_same_letters_warnings_and_least_strength_as_nmap(asked: Bench) -> None:
    wrong = []
    for setup, report in asked.ours.items():
        ours = grade(report)
        theirs = asked.nmap[setup]
        if theirs.least and least_strength(ours.values()) != theirs.least:
            wrong.append(f"{setup}: {least_strength(ours.values())} and {theirs.least}")
        for version, graded in ours.items():
            told = theirs.versions[version.label]
            letters = {one.suite.name: (one.exchange, one.letter) for one in graded.suites}
            if letters != dict(zip(names(told), [row[1:] for row in told.suites], strict=True)):
                wrong.append(f"{setup} {version}: {letters} and {told.suites}")
            if list(graded.warnings) != told.warnings:
                wrong.append(f"{setup} {version}: {graded.warnings} and {told.warnings}")
    assert wrong == []


def test_the_same_suites_as_sslscan(asked: Bench) -> None:
    by_name = openssl_names()
    wrong = []
    for setup, report in asked.ours.items():
        host, port = asked.places[setup]
        theirs = nmap_xml.sslscan(host, port, "psql" if setup.make == "postgresql" else "")
        for version, mine in accepted(report).items():
            told = {by_name.get(name, name) for name in theirs.get(version, [])}
            if {suite.name for suite in mine.suites} != told:
                wrong.append(f"{setup} {version}: {[suite.name for suite in mine.suites]} and {sorted(told)}")
    assert wrong == []


def accepted(report: EndpointReport) -> dict[str, VersionReport]:
    return {v.label: seen for v, seen in report.versions.items() if seen.outcome is Outcome.ACCEPTED}


def names(graded: Graded) -> list[str]:
    """IANA's names; nmap 7.93 writes those of TLS 1.3 in another way."""
    return [name.replace("TLS_AKE_WITH_", "TLS_") for name, _, _ in graded.suites]


def same_exchange(exchange: KeyExchange, told: str) -> bool:
    kind, _, bits = told.partition(" ")
    if kind in ("rsa", "dh"):
        return (exchange.group, str(exchange.bits)) == (kind, bits)
    return exchange.group == told.removeprefix("ecdh_")


def openssl_names() -> dict[str, str]:
    """IANA's name by OpenSSL's, from the openssl command."""
    done = subprocess.run(
        ["openssl", "ciphers", "-stdname", "ALL:COMPLEMENTOFALL:@SECLEVEL=0"],
        capture_output=True,
        text=True,
        check=True,
    )
    return {own: name for name, own in re.findall(r"^(TLS_\S+)\s+-\s+(\S+)", done.stdout, re.MULTILINE)}


def order_by_openssl(place: tuple[str, int], setup: Setup, seen: VersionReport) -> Preference:
    """Offer pairs of suites without ChaCha20 in both orders: a server with an order of its own takes the same one."""
    back = {name: own for own, name in openssl_names().items()}
    suites = [suite.name for suite in seen.suites if "CHACHA20" not in suite.name]
    host, port = place
    for first, second in itertools.pairwise(suites):
        chosen = set()
        for pair in ((first, second), (second, first)):
            option = "-ciphersuites" if seen.version is Version.TLS1_3 else "-cipher"
            offer = ":".join(back[name] for name in pair)
            command = ["openssl", "s_client", "-connect", f"{host}:{port}", option, offer]
            if seen.version is not Version.TLS1_3:
                command[-1] += ":@SECLEVEL=0"
            command.append(
                "-tls1" + {"TLSv1": "", "TLSv1.1": "_1", "TLSv1.2": "_2", "TLSv1.3": "_3"}[seen.version.value]
            )
            if setup.make == "postgresql":
                command += ["-starttls", "postgres"]
            done = subprocess.run(command, input="", capture_output=True, text=True, timeout=20)
            found = re.search(r"Cipher is (\S+)", done.stdout)
            assert found is not None, done.stderr
            chosen.add(found[1])
        if len(chosen) > 1:
            return Preference.CLIENT
    return Preference.SERVER if len(suites) > 1 else Preference.INDETERMINATE
