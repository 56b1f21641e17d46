"""Peers that are no TLS servers, or bad ones: each ends in time, with the outcome that it deserves."""

from __future__ import annotations

import asyncio
import itertools
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.front import Front, context_for
from tests.support.process import free_ports

from plimsoll.scan import resolve
from plimsoll.scan.engine import scan_endpoint, scan_many
from plimsoll.scan.options import SWEEP, Options
from plimsoll.scan.report import EndpointReport, Outcome, State, Target
from plimsoll.tls.alerts import Alert, alert_record
from plimsoll.tls.buffer import Writer
from plimsoll.tls.server_hello import RETRY_RANDOM, ServerHello
from plimsoll.tls.versions import Version

QUICK = Options(timeout=0.4, whole=0.8, patience=12, features=False)
Talk = Callable[[asyncio.Transport], Callable[[bytes], None] | None]


def scan(talk: Talk, options: Options = QUICK) -> EndpointReport:
    front = Front(None, scripted=talk)
    began = time.monotonic()
    with front.running():
        report = scan_endpoint(Target("127.0.0.1", front.port), options)
    assert time.monotonic() - began < options.patience + 5
    refused = {version for version, seen in report.versions.items() if seen.outcome is Outcome.REFUSED}
    assert refused <= {Version.TLS1_3}, "a peer that always chooses TLS 1.2 refuses 1.3, and nothing else is said"
    return report


def record(message: bytes, kind: int = 22) -> bytes:
    return bytes((kind, 3, 3)) + struct.pack(">H", len(message)) + message


def hello(version: int = 0x0303, suite: int = 0xC02F, random: bytes = bytes(32)) -> bytes:
    return ServerHello(version, random, b"", suite, 0, ()).encode()


def greets(data: bytes) -> Talk:
    """Says that at once, whatever it is asked."""
    return lambda transport: transport.write(data)


def answers(data: bytes) -> Talk:
    """Says that to the first bytes."""
    return lambda transport: lambda _: transport.write(data)


@pytest.mark.parametrize(
    ("talk", "named"),
    [
        (answers(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "plain HTTP"),
        (greets(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"), "SSH: 'SSH-2.0-OpenSSH_9.2p1 Debian-2'"),
        (greets(b"220 mail.test ESMTP\r\n"), "SMTP"),
        (answers(bytes(range(128, 200))), "no TLS"),
    ],
)
def test_what_is_not_tls_is_named(talk: Talk, named: str) -> None:
    report = scan(talk)
    assert report.state is State.NOT_TLS
    assert named in report.note


def test_a_closed_port() -> None:
    (port,) = free_ports(1)
    report = scan_endpoint(Target("127.0.0.1", port), QUICK)
    assert report.state is State.UNREACHABLE
    assert "refused" in report.note
    assert {seen.outcome for seen in report.versions.values()} == {Outcome.INCONCLUSIVE}


def test_a_name_that_does_not_resolve() -> None:
    report = scan_endpoint(Target("no-such-host.invalid", 443), QUICK)
    assert report.state is State.UNREACHABLE
    assert "no-such-host.invalid" in report.note
    assert {seen.outcome for seen in report.versions.values()} == {Outcome.NOT_ASKED}


def test_silence_after_accept() -> None:
    report = scan(lambda _: None)
    assert report.state is State.INCOMPLETE
    assert "no answer in time" in report.note


def _trickle(transport: asyncio.Transport) -> None:
    data = itertools.chain(record(hello())[:40], itertools.repeat(0))

    def one() -> None:
        if not transport.is_closing():
            transport.write(bytes((next(data),)))
            asyncio.get_running_loop().call_later(0.1, one)

    one()


def test_a_byte_now_and_then() -> None:
    assert scan(_trickle).state is State.INCOMPLETE


def test_records_without_end() -> None:
    def flood(transport: asyncio.Transport) -> None:
        def more() -> None:
            if not transport.is_closing():
                transport.write(record(b"\x16" * 0) * 50)
                asyncio.get_running_loop().call_later(0.005, more)

        more()

    assert scan(flood).accepted == ()


def test_a_record_that_never_ends() -> None:
    report = scan(answers(b"\x16\x03\x03\x40\x00" + bytes(900)))
    assert report.accepted == ()


def test_a_certificate_message_of_sixteen_megabytes() -> None:
    certificate = b"\x0b\xff\xff\xf0" + bytes(16000)
    report = scan(answers(record(hello()) + record(certificate) * 3))
    seen = report.versions[Version.TLS1_2]
    assert seen.outcome is Outcome.ACCEPTED, "the ServerHello before it came whole"
    assert not seen.suites_complete


def test_alerts_in_odd_places() -> None:
    warning = alert_record(Alert.UNRECOGNIZED_NAME, fatal=False)
    done = b"\x0e\0\0\0"
    report = scan(answers(warning + record(hello()) + alert_record(Alert.INTERNAL_ERROR) + record(done)))
    assert report.accepted == (Version.TLS1_2,)
    assert scan(answers(alert_record(Alert.CLOSE_NOTIFY, fatal=False))).accepted == ()
    assert scan(answers(warning * 50)).accepted == ()
    assert scan(answers(b"\x15\x03\x03\x00\x03\x02\x28\x28")).accepted == ()


def test_a_hello_that_breaks_its_own_lengths() -> None:
    broken = bytearray(hello())
    broken[38] = 0xFF
    assert scan(answers(record(bytes(broken)))).state is State.NOT_TLS


def test_a_newer_version_than_was_asked_for_proves_nothing() -> None:
    report = scan(answers(record(hello(0x0305))))
    assert report.accepted == ()


def test_a_suite_that_was_not_offered() -> None:
    report = scan(answers(record(hello(suite=0xEEEE)) + record(b"\x0e\0\0\0")))
    seen = report.versions[Version.TLS1_2]
    assert seen.outcome is Outcome.ACCEPTED
    assert not seen.suites_complete
    assert any("not offered" in text for text in seen.evidence)


def test_hello_retry_requests_without_end() -> None:
    body = Writer().number(0x0303, 2).raw(RETRY_RANDOM).vector(b"", 1).number(0x1301, 2).number(0, 1)
    body.vector(b"\x00\x2b\x00\x02\x03\x04\x00\x33\x00\x02\x00\x1d", 2)
    report = scan(answers(record(b"\x02" + bytes(Writer().vector(bytes(body), 3)))))
    assert report.accepted == (Version.TLS1_3,)
    assert not report.versions[Version.TLS1_3].suites_complete
    assert not report.versions[Version.TLS1_3].groups_complete


def test_a_server_that_answers_each_connection_differently() -> None:
    turns = itertools.cycle(
        [
            answers(record(hello())),
            answers(b"HTTP/1.1 400\r\n\r\n"),
            lambda t: t.abort(),
            lambda _: None,
            answers(b"\x16"),
        ]
    )

    def turn(transport: asyncio.Transport) -> Callable[[bytes], None] | None:
        return next(turns)(transport)

    report = scan(turn, Options(timeout=0.4, whole=0.8, patience=5, features=False))
    assert report.state in (State.INCOMPLETE, State.NOT_TLS)


def test_the_address_family_six(certificates: Path) -> None:
    with Front(context_for(certificates, Version.TLS1_2), host="::1").running() as front:
        report = scan_endpoint(Target("::1", front.port), QUICK)
    assert report.accepted == (Version.TLS1_2,)
    assert report.address == "::1"


def test_a_name_with_one_address_that_answers(certificates: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def look_up(host: str, port: int) -> tuple[list[resolve.Address], str]:
        return [(socket.AF_INET, ("127.0.0.99", port)), (socket.AF_INET6, ("::1", port, 0, 0))], ""

    monkeypatch.setattr(resolve, "look_up", look_up)
    with Front(context_for(certificates, Version.TLS1_2), host="::1").running() as front:
        report = scan_endpoint(Target("two.test", front.port, server_name="two.test"), QUICK)
    assert report.accepted == (Version.TLS1_2,)
    assert report.address == "::1"


def test_a_resolver_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    def look_up(host: str, port: int) -> tuple[list[resolve.Address], str]:
        time.sleep(1.0)
        return [], "too late"

    monkeypatch.setattr(resolve, "look_up", look_up)
    monkeypatch.setattr(resolve, "TIMEOUT", 0.2)
    report = scan_endpoint(Target("slow.test", 443), QUICK)
    assert report.state is State.UNREACHABLE
    assert "within 0.2 s" in report.note


def test_duplicates_are_two_reports(certificates: Path) -> None:
    reports: list[EndpointReport] = []
    with Front(context_for(certificates, Version.TLS1_2)).running() as front:
        scan_many([Target("127.0.0.1", front.port)] * 2, Options(mode=SWEEP), reports.append)
    assert [report.accepted for report in reports] == [(Version.TLS1_2,)] * 2


SQUEEZED = """
import resource, sys
from plimsoll.scan.engine import scan_many
from plimsoll.scan.options import Options
from plimsoll.scan.report import Target
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard))
squeeze = lambda _: resource.setrlimit(resource.RLIMIT_NOFILE, (12, hard))
targets = [Target("127.0.0.1", int(sys.argv[1]))] * 40
options = Options(mode="sweep", per_host=64, per_network=64, features=False)
scan_many(targets, options, lambda report: print(*report.accepted), squeeze)
"""


def test_descriptors_refused_by_ulimit(certificates: Path) -> None:
    """The limit is met while sockets are being made: what cannot be opened yet waits, and nothing is lost."""
    with Front(context_for(certificates, Version.TLS1_2)).running() as front:
        command = [sys.executable, "-c", SQUEEZED, str(front.port)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    assert done.stdout.split() == ["TLSv1.2"] * 40
