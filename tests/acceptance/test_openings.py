"""What is said before TLS, to the real servers of each protocol, beside openssl where it knows the protocol.

SQL Server does not run here: a peer of our own speaks its packets, with OpenSSL inside.
"""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from tests.support.opening_servers import NAME, Place, real_servers, self_signed
from tests.support.tds_server import tds_server

from plimsoll.scan.engine import scan_many
from plimsoll.scan.options import Options
from plimsoll.scan.report import EndpointReport, Outcome, State, Target
from plimsoll.tls.versions import Version

#: They close on a version that they do not take, without an alert: nothing tells that from a fault.
SILENT = {"dovecot", "slapd", "vsftpd"}
#: What `openssl s_client -starttls` calls our openings; it does not know the others.
OPENSSL = {
    "smtp": "smtp",
    "lmtp": "lmtp",
    "imap": "imap",
    "pop3": "pop3",
    "ftp": "ftp",
    "ldap": "ldap",
    "xmpp": "xmpp",
    "xmpp-server": "xmpp-server",
    "sieve": "sieve",
    "mysql": "mysql",
}


@dataclass(slots=True)
class Asked:
    reports: dict[Place, EndpointReport]


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    with contextlib.ExitStack() as stack:
        places = stack.enter_context(real_servers())
        files = self_signed(tmp_path_factory.mktemp("tds"))
        places = [*places, Place("tds", "mssql", stack.enter_context(tds_server(*files)))]
        by_port = {place.port: place for place in places}
        reports: dict[Place, EndpointReport] = {}

        def take(report: EndpointReport) -> None:
            reports[by_port[report.target.port]] = report

        targets = [Target("127.0.0.1", place.port, place.opening, NAME) for place in places]
        scan_many(targets, Options(features=False), take)
        yield Asked(reports)


def test_every_server_is_reached_through_its_opening(asked: Asked) -> None:
    openings = {place.opening for place in asked.reports}
    assert openings >= {*OPENSSL, "mssql", "rdp"} - {"smtp"}
    unreached = {
        str(place): report.state
        for place, report in asked.reports.items()
        if report.state not in (State.COMPLETE, State.INCOMPLETE)
    }
    assert unreached == {}


@pytest.mark.rule("R17")
def test_the_versions_are_those_that_each_was_told_to_take(asked: Asked) -> None:
    for place, report in asked.reports.items():
        outcomes = {version: seen.outcome for version, seen in report.versions.items()}
        accepted = {version for version, outcome in outcomes.items() if outcome is Outcome.ACCEPTED}
        assert accepted == {Version.TLS1_2, Version.TLS1_3}, str(place)
        old = Outcome.INCONCLUSIVE if place.server in SILENT else Outcome.REFUSED
        assert (outcomes[Version.TLS1_0], outcomes[Version.TLS1_1]) == (old, old), str(place)
        for version in accepted:
            assert report.versions[version].suites, (str(place), version)


def test_openssl_is_let_in_where_we_say_so_and_chooses_a_suite_that_we_found(asked: Asked) -> None:
    for place, report in asked.reports.items():
        if place.opening not in OPENSSL:
            continue
        found = {suite.name for suite in report.versions[Version.TLS1_3].suites}
        assert _openssl(place, "-tls1_3") in found, str(place)
        assert _openssl(place, "-tls1_2"), str(place)
        assert not _openssl(place, "-tls1_1"), str(place)


def _openssl(place: Place, version: str) -> str:
    """The suite that openssl gets, "" where it gets none."""
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{place.port}", "-starttls", OPENSSL[place.opening]]
    command += [version, "-servername", NAME, "-cipher", "ALL:@SECLEVEL=0"]
    if place.opening.startswith("xmpp"):
        command += ["-xmpphost", NAME]
    # Long enough for a server that answers nothing to be given up, and not the whole of a test's time.
    ran = subprocess.run(command, input="", capture_output=True, text=True, timeout=20, check=False)
    for line in ran.stdout.splitlines():
        if "Cipher is " in line:
            name = line.partition("Cipher is ")[2].strip()
            return "" if name == "(NONE)" else name
    return ""
