"""Alerts as records."""

from __future__ import annotations

import pytest

from plimsoll.tls.alerts import Alert, alert_record, parse_alert


def test_the_refusal_is_alert_70_and_fatal() -> None:
    assert alert_record(Alert.PROTOCOL_VERSION) == bytes.fromhex("15030100020246")
    assert Alert.PROTOCOL_VERSION.label == "protocol_version"


@pytest.mark.parametrize("alert", Alert)
@pytest.mark.parametrize("fatal", [True, False])
def test_every_alert_is_read_back(alert: Alert, fatal: bool) -> None:
    assert parse_alert(alert_record(alert, 0x0303, fatal) + b"more") == (alert, fatal)


def test_an_unknown_alert_keeps_its_number() -> None:
    assert parse_alert(bytes.fromhex("150301000202c8")) == (200, True)


@pytest.mark.parametrize(
    "text", ["", "150301000202", "16030100020246", "15040100020246", "15030100030246", "15030100020346"]
)
def test_anything_else_is_no_alert(text: str) -> None:
    assert parse_alert(bytes.fromhex(text)) is None
