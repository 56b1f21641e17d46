"""What an answer to an SSL 2 hello proves."""

from __future__ import annotations

import pytest

from plimsoll.scan.asking import Answer, Kind
from plimsoll.scan.report import Outcome
from plimsoll.scan.versions import ask_version, conclude
from plimsoll.tls.alerts import Alert
from plimsoll.tls.sslv2 import NO_CIPHER, Ssl2Error, peek_ssl2_hello
from plimsoll.tls.versions import Version

from .scripted import known


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (Answer(Kind.SSL2_HELLO, ssl2_kinds=(0x010080,)), Outcome.ACCEPTED),
        (Answer(Kind.SSL2_HELLO, detail=NO_CIPHER), Outcome.REFUSED),
        (Answer(Kind.SSL2_HELLO, detail="SSL 2 error: no certificate"), Outcome.INCONCLUSIVE),
        (Answer(Kind.ALERT, alert=Alert.PROTOCOL_VERSION), Outcome.REFUSED),
        (Answer(Kind.EOF), Outcome.INCONCLUSIVE),
        (Answer(Kind.RESET), Outcome.INCONCLUSIVE),
    ],
)
def test_what_an_answer_to_ssl2_proves(answer: Answer, outcome: Outcome) -> None:
    whole = known()
    script = ask_version(whole, Version.SSL2)
    next(script)
    with pytest.raises(StopIteration) as stop:
        script.send(answer)
    whole.findings[Version.SSL2] = stop.value.value
    assert conclude(whole, stop.value.value)[0] is outcome


def test_the_word_that_our_own_ports_say_is_the_one_that_counts() -> None:
    with pytest.raises(Ssl2Error) as error:
        peek_ssl2_hello(b"\x80\x03\x00\x00\x01")
    assert str(error.value) == NO_CIPHER
