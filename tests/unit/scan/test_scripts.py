"""The scripts that ask, played against servers that exist in the test only."""

from __future__ import annotations

import random
import re
import subprocess
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plimsoll.scan.asking import Answer, Kind
from plimsoll.scan.hellos import SMALL, hellos_for, is_chacha, name_for_sni, suites_13, suites_early
from plimsoll.scan.knowledge import Finding
from plimsoll.scan.orders import OPENSSL
from plimsoll.scan.pace import Pace
from plimsoll.scan.report import Outcome, Preference
from plimsoll.scan.versions import ask_version, conclude
from plimsoll.tls.alerts import Alert
from plimsoll.tls.hello import ClientHello, peek_client_hello
from plimsoll.tls.server_hello import ServerHello
from plimsoll.tls.versions import Version

from .scripted import REFUSED, RESET, Server, known, play

TLS12 = Version.TLS1_2
PLAIN = (0xC030, 0xC02F, 0x009C, 0x002F)
CHACHA = (0xCCA8, 0xCCA9)


def ask(server: Server, version: Version = TLS12, name: str = "", **options: object) -> Finding:
    found = play(ask_version(known(name, **options), version), server)
    assert isinstance(found, Finding)
    return found


def outcome(finding: Finding) -> Outcome:
    whole = known()
    whole.findings[finding.version] = finding
    return conclude(whole, finding)[0]


def test_n_suites_take_n_and_one_hello_and_one_for_the_order() -> None:
    server = Server({TLS12: PLAIN})
    found = ask(server, groups=False)
    assert found.suites == list(PLAIN)
    assert found.suites_complete
    assert found.preference is Preference.SERVER
    assert len(server.asked) == len(PLAIN) + 2


def test_a_server_that_follows_its_clients() -> None:
    found = ask(Server({TLS12: PLAIN}, server_order=False))
    assert found.preference is Preference.CLIENT
    assert set(found.suites) == set(PLAIN)


def test_chacha20_first_for_those_who_do_is_no_client_order() -> None:
    found = ask(Server({TLS12: (*PLAIN, *CHACHA)}, prioritize=CHACHA))
    assert found.preference is Preference.SERVER
    assert found.suites == [*PLAIN, *CHACHA]
    assert any("ChaCha20 first for clients that put it first" in text for text in found.evidence)


@pytest.mark.parametrize(
    ("suites", "server_order", "prioritize", "expected"),
    [
        ((0xC02F, 0xCCA8), True, (), Preference.SERVER),
        ((0xCCA8, 0xC02F), True, (), Preference.SERVER),
        ((0xC02F, 0xCCA8), True, CHACHA, Preference.INDETERMINATE),
        ((0xC02F, 0xCCA8), False, (), Preference.INDETERMINATE),
        ((0xCCA8, 0xCCA9), False, (), Preference.CLIENT),
        ((0xC02F,), True, (), Preference.INDETERMINATE),
    ],
)
def test_two_suites_tell_what_they_can(
    suites: tuple[int, ...], server_order: bool, prioritize: tuple[int, ...], expected: Preference
) -> None:
    found = ask(Server({TLS12: suites}, server_order, prioritize))
    assert found.preference is expected
    assert set(found.suites) == set(suites)


def too_big(limit: int, suites: int = 1000) -> Callable[[ClientHello, int], Answer | None]:
    return lambda hello, length: RESET if length > limit or len(hello.cipher_suites) > suites else None


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([(10**6, 10**6), (511, 10**6), (255, 10**6), (10**6, 64), (255, 64)]))
def test_order_and_completeness_survive_every_limit(seed: int, limits: tuple[int, int]) -> None:
    number = random.Random(seed)
    suites = number.sample(suites_early(), number.randint(3, 30))
    server = Server({TLS12: suites}, strange=too_big(*limits))
    found = ask(server, groups=False)
    assert found.suites == suites
    assert found.suites_complete
    assert found.preference is Preference.SERVER or sum(not is_chacha(code) for code in suites) < 2


def test_a_server_that_answers_nothing_but_the_classic_hello() -> None:
    found = ask(
        Server({TLS12: (0xC02F, 0x002F)}, strange=lambda hello, _: RESET if len(hello.cipher_suites) > 12 else None)
    )
    assert found.suites[:2] == [0xC02F, 0x002F]
    assert found.accepted


def test_a_resetting_end_is_an_incomplete_list() -> None:
    found = ask(
        Server({TLS12: PLAIN}, strange=lambda hello, _: None if set(PLAIN) & set(hello.cipher_suites) else RESET)
    )
    assert found.suites == list(PLAIN)
    assert not found.suites_complete


@pytest.mark.parametrize("alert", [Alert.HANDSHAKE_FAILURE, Alert.INSUFFICIENT_SECURITY, Alert.ILLEGAL_PARAMETER])
def test_the_ladder_must_end_in_refusals(alert: Alert) -> None:
    server = Server({}, strange=lambda *_: Answer(Kind.ALERT, alert=alert))
    for version in (Version.SSL3, Version.TLS1_0, TLS12, Version.TLS1_3):
        server.asked.clear()
        assert outcome(ask(server, version)) is Outcome.REFUSED
        assert len(server.asked) >= 3


@pytest.mark.parametrize(
    "answer",
    [
        RESET,
        Answer(Kind.EOF),
        Answer(Kind.TIMEOUT),
        Answer(Kind.FOREIGN),
        Answer(Kind.ALERT, alert=Alert.INTERNAL_ERROR),
    ],
    ids=str,
)
def test_what_is_no_refusal(answer: Answer) -> None:
    for version in Version:
        if version is not Version.SSL2:
            assert outcome(ask(Server({}, strange=lambda *_: answer), version)) is Outcome.INCONCLUSIVE
            last = ask(
                Server({}, strange=lambda hello, _: answer if len(hello.cipher_suites) < 14 else REFUSED), version
            )
            assert outcome(last) is Outcome.INCONCLUSIVE


def test_alert_70_ends_it_and_so_does_an_older_version() -> None:
    server = Server({Version.TLS1_1: PLAIN})
    assert outcome(ask(server)) is Outcome.REFUSED
    assert len(server.asked) == 1
    older = Answer(Kind.SERVER_HELLO, ServerHello(0x0301, bytes(32), b"", 0x002F))
    assert outcome(ask(Server({}, strange=lambda *_: older))) is Outcome.REFUSED
    newer = Answer(Kind.SERVER_HELLO, ServerHello(0x0303, bytes(32), b"", 0x002F))
    assert outcome(ask(Server({}, strange=lambda *_: newer), Version.TLS1_0)) is Outcome.INCONCLUSIVE


def test_a_version_behind_a_name_only_and_without_one_only() -> None:
    server = Server({TLS12: PLAIN}, strange=lambda hello, _: None if hello.server_name else REFUSED)
    assert ask(server, name="site.test").only_with_name
    server = Server({TLS12: PLAIN}, strange=lambda hello, _: REFUSED if hello.server_name else None)
    found = ask(server, name="site.test")
    assert found.only_without_name
    assert found.suites == list(PLAIN)


def test_groups_of_tls_13_hybrids_among_them() -> None:
    server = Server({Version.TLS1_3: (0x1302, 0x1301)}, groups=(4588, 29, 23, 256))
    found = ask(server, Version.TLS1_3)
    assert found.groups == [4588, 29, 23, 256]
    assert found.groups_complete
    assert found.suites == [0x1302, 0x1301]
    assert found.exchanges[0x1302] == 4588


def test_groups_before_tls_13() -> None:
    found = ask(Server({TLS12: PLAIN}, groups=(24, 29, 23, 22)))
    assert found.groups == [24, 29, 23, 22]
    assert found.groups_complete
    assert ask(Server({TLS12: (0x002F,)})).groups == []


def test_a_group_that_was_not_offered_ends_the_list() -> None:
    hello = ServerHello(0x0303, bytes(32), b"", 0x1301, 0, ((43, b"\x03\x04"), (51, b"\xee\xee")))
    found = ask(Server({}, strange=lambda *_: Answer(Kind.SERVER_HELLO, hello)), Version.TLS1_3)
    assert found.accepted
    assert not found.groups_complete


def test_compressors() -> None:
    assert ask(Server({TLS12: PLAIN})).compressors == ["NULL"]
    assert ask(Server({TLS12: PLAIN}, compressors=(1, 0))).compressors == ["DEFLATE", "NULL"]


def test_a_sweep_asks_for_no_more_than_the_version() -> None:
    server = Server({TLS12: PLAIN})
    found = ask(server, full=False)
    assert (found.suites, len(server.asked)) == ([PLAIN[0]], 1)


@pytest.mark.parametrize("name", ["", "a.test", "a-name-that-is-rather-long.department.example.test"])
def test_small_hellos_are_small_and_leave_nothing_out(name: str) -> None:
    hellos = hellos_for(name)
    for version in (Version.SSL3, Version.TLS1_0, Version.TLS1_1, TLS12):
        chunks = hellos.chunks(version, suites_early())
        assert [code for chunk in chunks for code in chunk] == list(suites_early())
        for chunk in chunks:
            hello = hellos.early(version, chunk)
            found = peek_client_hello(hello)
            assert isinstance(found, ClientHello)
            assert found.newest is version
            assert len(hello) <= SMALL
            assert len(found.cipher_suites) <= 64
    found = peek_client_hello(hellos.tls13())
    assert isinstance(found, ClientHello)
    assert found.offered == (Version.TLS1_3,)
    assert set(found.cipher_suites) == set(suites_13())


def test_what_a_server_name_may_say() -> None:
    assert name_for_sni("host.test.") == "host.test"
    assert name_for_sni("bücher.test") == "xn--bcher-kva.test"
    for literal in ("127.0.0.1", "::1", "fe80::1%eth0", "", "host test\udcff", "1.2"):
        assert name_for_sni(literal) == ""


def away(width: int) -> Pace:
    """The pace of an endpoint whose answers take long."""
    pace = Pace(width, 0, 5.0)
    pace.answered(0.0, 0.05)
    return pace


def ahead(server: Server, *orders: list[int], width: int = 2, version: Version = TLS12) -> tuple[Finding, list[int]]:
    """A scan of a server that may be asked so much at once, and how many questions went out in each round."""
    whole = known(groups=False, pace=away(width))
    for order in orders:
        whole.orders.add(version, order)
    script = ask_version(whole, version)
    rounds = []
    try:
        question = next(script)
        while True:
            rounds.append(1 + len(question.beside))
            question = script.send(server.answer(question))
    except StopIteration as end:
        found = end.value
    assert isinstance(found, Finding)
    return found, rounds


LONG = [code for code in OPENSSL if code not in CHACHA][:24]


def test_a_known_order_is_proved_in_few_rounds_and_no_more_questions() -> None:
    plain = Server({TLS12: LONG})
    found, rounds = ahead(plain, width=1)
    assert (found.suites, max(rounds)) == (LONG, 1)
    guessed = Server({TLS12: LONG})
    found, fewer = ahead(guessed, LONG, width=4)
    assert (found.suites, found.suites_complete, found.preference) == (LONG, True, Preference.SERVER)
    assert len(guessed.asked) == len(plain.asked)
    assert len(fewer) <= len(rounds) / 4


def test_a_librarys_default_is_guessed_from_two_answers() -> None:
    server = Server({TLS12: LONG})
    found, rounds = ahead(server)
    assert found.suites == LONG
    assert len(server.asked) <= len(LONG) + 2 + 3, "the default goes on where this list ends"
    assert len(rounds) < len(LONG) / 2


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.booleans(), st.integers(2, 6))
def test_a_wrong_guess_changes_nothing(seed: int, server_order: bool, width: int) -> None:
    number = random.Random(seed)
    suites = number.sample(suites_early(), number.randint(2, 30))
    lie = [code for code in suites if number.random() < 0.9] + number.sample(suites_early(), 5)
    plain, guessed = (Server({TLS12: suites}, server_order) for _ in range(2))
    one, _ = ahead(plain, width=1)
    other, _ = ahead(guessed, lie, suites[:3] + sorted(suites[3:]), width=width)
    assert (one.suites, one.preference, one.suites_complete) == (other.suites, other.preference, other.suites_complete)
    assert len(guessed.asked) <= len(plain.asked) + 2 * (2 * width - 1)


def test_without_order_disjoint_lists_are_asked_side_by_side() -> None:
    server = Server({TLS12: list(reversed(LONG))})
    whole = known(groups=False, order=False, pace=away(4))
    found = play(ask_version(whole, TLS12), server)
    assert isinstance(found, Finding)
    assert (set(found.suites), len(found.suites)) == (set(LONG), len(LONG))
    assert found.suites_complete
    assert found.preference is Preference.INDETERMINATE
    assert len(server.asked) == len(LONG) + 4, "each list ends with a refusal"


def test_a_list_that_breaks_off_is_asked_in_smaller_hellos_also_without_order() -> None:
    server = Server(
        {TLS12: LONG},
        strange=lambda hello, _: RESET if 10 < len(set(hello.cipher_suites) - set(LONG[:4])) < 80 else None,
    )
    whole = known(groups=False, order=False, pace=away(2))
    found = play(ask_version(whole, TLS12), server)
    assert found.accepted
    assert len(set(found.suites)) == len(found.suites)


def test_openssl_has_the_order_that_is_written_down() -> None:
    """The local one, as far as it still knows them."""
    done = subprocess.run(["openssl", "ciphers", "-V", "ALL:@SECLEVEL=0"], capture_output=True, text=True, check=True)
    codes = [int(high + low, 16) for high, low in re.findall(r"0x(..),0x(..) - ", done.stdout)]
    assert [code for code in codes if code in OPENSSL] == list(OPENSSL)
