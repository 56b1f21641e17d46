from __future__ import annotations

import datetime
import socket
import ssl
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.support.process import free_ports
from tests.unit.manager.notify.receivers import hook_receiver, server_context, syslog_receiver

from plimsoll.manager.notify.senders import DeliveryError, Sender, sender_for
from plimsoll.manager.services.events import EventView
from plimsoll.manager.store.notifications import TargetRecord
from plimsoll.testing.certificates import TestAuthority

EVENT = EventView(7, 1764100000.0, 730, "Offline", "warning", "db-7 is offline", "c-7", "db-7", "manager", {})
SECRET = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="


_open: list[Sender] = []


@pytest.fixture(autouse=True)
def all_closed() -> Iterator[None]:
    yield
    while _open:
        _open.pop().close()


def sender(kind: str, **settings: Any) -> Sender:
    full = {"form": "text", "facility": "local0", "ca": "", "host": "127.0.0.1", "transport": "tls"} | settings
    _open.append(sender_for("i", TargetRecord(1, "t", kind, "info", True, 0, 0.0, "x", full, [], SECRET)))
    return _open[-1]


@pytest.fixture(scope="module")
def authority() -> TestAuthority:
    return TestAuthority()


def pem(authority: TestAuthority) -> str:
    return authority.pem.decode()


def test_frames_arrive_in_order_over_tls(authority: TestAuthority, tmp_path: Path) -> None:
    with syslog_receiver(server_context(authority, tmp_path)) as receiver:
        out = sender("syslog", port=receiver.port, ca=pem(authority))
        assert out.send([EVENT, replace(EVENT, id=8, description="second")]) == "2 sent over TLSv1.3"
        out.send([replace(EVENT, id=9)])
        frames = receiver.wait(3)
    assert [b"second" in frame for frame in frames] == [False, True, False]
    assert receiver.connections == 1


def test_a_receiver_that_hung_up_is_called_again_before_anything_is_lost(
    authority: TestAuthority, tmp_path: Path
) -> None:
    with syslog_receiver(server_context(authority, tmp_path), hang_up_after=1) as receiver:
        out = sender("syslog", port=receiver.port, ca=pem(authority))
        for number in range(3):
            out.send([replace(EVENT, id=number)])
            receiver.wait(number + 1)
            _until_closed(out)
    assert len(receiver.frames) == receiver.connections == 3


def _until_closed(out: Any) -> None:
    """The receiver's farewell has arrived at our socket."""
    connection: socket.socket = out._socket
    connection.settimeout(10)
    raw = socket.socket(fileno=socket.dup(connection.fileno()))
    with raw:
        raw.settimeout(10)
        while raw.recv(1, socket.MSG_PEEK):
            # What TLS says at the end (session tickets, close_notify) is read as the sender itself would.
            if not connection.recv(1024):
                return


def test_over_tcp_and_udp(tmp_path: Path) -> None:
    with syslog_receiver(None) as receiver:
        out = sender("syslog", port=receiver.port, transport="tcp")
        out.send([EVENT])
        receiver.wait(1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.settimeout(10)
        out = sender("syslog", port=listener.getsockname()[1], transport="udp")
        assert out.send([replace(EVENT, description="x" * 5000)]) == "1 sent over UDP"
        assert len(listener.recv(65536)) == 2048


def test_who_cannot_be_trusted_is_told_nothing(authority: TestAuthority, tmp_path: Path) -> None:
    with syslog_receiver(server_context(authority, tmp_path)) as receiver:
        out = sender("syslog", port=receiver.port, ca=pem(TestAuthority()))
        with pytest.raises(DeliveryError, match=r"certificate of 127\.0\.0\.1.*not accepted.*--ca"):
            out.send([EVENT])
    with syslog_receiver(server_context(authority, tmp_path, "192.0.2.1")) as receiver:
        out = sender("syslog", port=receiver.port, ca=pem(authority))
        with pytest.raises(DeliveryError, match="not accepted"):
            out.send([EVENT])
    assert receiver.frames == []


def test_early_tls_is_not_spoken(authority: TestAuthority, tmp_path: Path) -> None:
    context = server_context(authority, tmp_path)
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with syslog_receiver(context) as receiver:
        out = sender("syslog", port=receiver.port, ca=pem(authority))
        with pytest.raises(DeliveryError, match=r"no TLS with|cannot be reached"):
            out.send([EVENT])


def test_nobody_there() -> None:
    (port,) = free_ports(1)
    with pytest.raises(DeliveryError, match=f"127.0.0.1:{port} cannot be reached: Connection refused"):
        sender("syslog", port=port, transport="tcp").send([EVENT])
    with pytest.raises(DeliveryError, match="cannot be reached"):
        sender("webhook", url=f"https://127.0.0.1:{port}/").send([EVENT])


def test_a_webhook_repeats_a_delivery_under_the_same_name(authority: TestAuthority, tmp_path: Path) -> None:
    with hook_receiver(server_context(authority, tmp_path), (500, {})) as receiver:
        out = sender("webhook", url=receiver.url, ca=pem(authority))
        with pytest.raises(DeliveryError, match="answered 500"):
            out.send([EVENT])
        assert out.send([EVENT]) == "answered 204"
    first, second = receiver.deliveries
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body


@pytest.mark.parametrize(
    ("status", "headers", "words", "wish", "gone"),
    [
        (503, {"retry-after": "7"}, "answered 503", 7.0, False),
        (429, {"retry-after": "99999"}, "answered 429", 900.0, False),
        (410, {}, "wants no more", None, True),
        (302, {"location": "https://127.0.0.1/elsewhere"}, "redirects are not followed", None, False),
        (401, {}, "secret", None, False),
        (503, {"retry-after": "soon"}, "answered 503", None, False),
    ],
)
def test_what_a_webhook_may_answer(
    authority: TestAuthority, tmp_path: Path, status: int, headers: dict[str, str], words: str, wish: float | None,
    gone: bool,
) -> None:  # fmt: skip
    with hook_receiver(server_context(authority, tmp_path), (status, headers)) as receiver:
        out = sender("webhook", url=receiver.url, ca=pem(authority))
        with pytest.raises(DeliveryError, match=words) as caught:
            out.send([EVENT])
    assert (caught.value.retry_after, caught.value.gone) == (wish, gone)
    assert len(receiver.deliveries) == 1


def test_a_wish_may_be_a_date(authority: TestAuthority, tmp_path: Path) -> None:
    later = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=60)
    answer = (503, {"retry-after": later.strftime("%a, %d %b %Y %H:%M:%S GMT")})
    with hook_receiver(server_context(authority, tmp_path), answer) as receiver:
        with pytest.raises(DeliveryError) as caught:
            sender("webhook", url=receiver.url, ca=pem(authority)).send([EVENT])
        assert caught.value.retry_after is not None
        assert 50 < caught.value.retry_after <= 60


def test_a_webhook_that_does_not_answer_is_given_up_in_time(
    authority: TestAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plimsoll.manager.notify.senders.SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        out = sender("webhook", url=f"https://127.0.0.1:{listener.getsockname()[1]}/", ca=pem(authority))
        with pytest.raises(DeliveryError, match=r"no answer within|cannot be reached"):
            out.send([EVENT])
