"""Many endpoints: the limits hold, targets are taken as they are needed, and each report comes once."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.front import Front, Limits, context_for

from plimsoll.scan.asking import Answer, Ask, Kind, Script
from plimsoll.scan.engine import Progress, scan_many
from plimsoll.scan.options import SWEEP, Options
from plimsoll.scan.pace import Pace
from plimsoll.scan.report import EndpointReport, Outcome, State, Target
from plimsoll.scan.session import Plan, Session
from plimsoll.tls.alerts import Alert
from plimsoll.tls.server_hello import ServerHello
from plimsoll.tls.versions import Version

HELLO = Answer(Kind.SERVER_HELLO, ServerHello(0x0303, bytes(32), b"", 0xC02F))
ALERT = Answer(Kind.ALERT, alert=Alert.PROTOCOL_VERSION)


@pytest.fixture
def everywhere(certificates: Path) -> Iterator[Front]:
    """A server on all of 127.0.0.0/8."""
    with Front(context_for(certificates, Version.TLS1_2), host="0.0.0.0").running() as front:
        yield front


def test_a_sweep_of_many(everywhere: Front) -> None:
    seen: Counter[Target] = Counter()
    taken = 0
    ahead = []

    def targets() -> Iterator[Target]:
        nonlocal taken
        for number in range(300):
            taken += 1
            yield Target(f"127.0.{number // 100}.{number % 100 + 1}", everywhere.port)

    def on_report(report: EndpointReport) -> None:
        ahead.append(taken - len(seen))
        seen[report.target] += 1
        assert report.state is State.COMPLETE
        assert report.accepted == (Version.TLS1_2,)
        assert report.versions[Version.TLS1_0].outcome is Outcome.REFUSED
        assert len(report.versions[Version.TLS1_2].suites) == len(report.certificates) == 1
        assert report.connections <= 9

    told: list[Progress] = []
    end = scan_many(targets(), Options(mode=SWEEP, overall=20), on_report, told.append, total=300)
    assert set(seen.values()) == {1}
    assert len(seen) == end.done == 300
    assert max(ahead) <= 61
    assert everywhere.peak <= 40, "some of them closed already, which the server had not seen yet"
    assert told[-1].time_left(told[-1].started + 1) == 0


@pytest.mark.parametrize(
    ("options", "peak"),
    [
        (Options(mode=SWEEP, per_network=3), 3),
        (Options(mode=SWEEP, overall=5), 5),
        (Options(mode=SWEEP, per_host=1), 64),
    ],
)
def test_limits_hold(everywhere: Front, options: Options, peak: int) -> None:
    targets = [Target(f"127.0.0.{number}", everywhere.port) for number in range(1, 31)]
    reports: list[EndpointReport] = []
    scan_many(targets, options, reports.append)
    assert len(reports) == 30
    # A connection that we have closed may still count as open for a moment over there.
    assert everywhere.peak <= 2 * peak


def test_a_scan_ends_with_the_caller(everywhere: Front) -> None:
    def enough(_: EndpointReport) -> None:
        raise KeyboardInterrupt

    targets = (Target(f"127.0.0.{number}", everywhere.port) for number in itertools.count(1))
    with pytest.raises(KeyboardInterrupt):
        scan_many(targets, Options(mode=SWEEP), enough)


def test_one_bad_endpoint_does_not_hold_up_the_others(certificates: Path, everywhere: Front) -> None:
    with Front(context_for(certificates), Limits(rate=0.001, silent=True, burst=1)).running() as bad:
        order: list[int] = []
        targets = [Target("127.0.0.1", bad.port), *(Target("127.0.0.2", everywhere.port) for _ in range(20))]
        options = Options(mode=SWEEP, timeout=0.5, patience=4)
        scan_many(targets, options, lambda report: order.append(report.target.port))
    assert order == [everywhere.port] * 20 + [bad.port]


# The session by itself, with a clock of the test's own


def run(plan: Plan, answer: dict[str, list[Answer]], patience: float = 100.0) -> tuple[Session, list[str]]:
    """Run a plan; answers by label, the last one for ever. The clock jumps over pauses."""
    session = Session(plan, [Ask(label="scout")], Pace(2, 0, 5.0), patience)
    now = 0.0
    asked: list[str] = []
    session.start(now)
    for _ in range(500):
        out = session.take(now)
        if out is None:
            if session.done:
                return session, asked
            now = max(session.pace.not_before, now + 0.01)
            continue
        asked.append(out.ask.label)
        left = answer[out.ask.label]
        now += 0.01
        given = left.pop(0) if len(left) > 1 else left[0]
        session.answered(out, Answer(given.kind, given.hello, given.alert, elapsed=0.01), now)
    raise AssertionError("the session does not end")


def asks(*labels: str) -> Script[list[Answer]]:
    answers: list[Answer] = []
    for label in labels:
        answer = yield Ask(label=label)
        answers.append(answer)
    return answers


def plan_of(results: list[list[Answer]], *scripts: Script[list[Answer]]) -> Plan:
    results += yield list(scripts)


def test_silence_is_believed_only_between_two_controls() -> None:
    results: list[list[Answer]] = []
    reset = Answer(Kind.RESET)
    session, asked = run(plan_of(results, asks("good", "bad")), {"good": [HELLO], "bad": [reset], "control": [HELLO]})
    assert asked == ["good", "bad", "control", "bad", "control"]
    assert [answer.kind for answer in results[0]] == [Kind.SERVER_HELLO, Kind.RESET]
    assert results[0][1].settled
    assert session.done


def test_a_control_that_fails_voids_the_silence() -> None:
    results: list[list[Answer]] = []
    reset = Answer(Kind.RESET)
    control = [reset, reset, HELLO]
    session, asked = run(
        plan_of(results, asks("good", "bad")), {"good": [HELLO], "bad": [reset, ALERT], "control": control}
    )
    assert asked == ["good", "bad", "control", "control", "control", "bad"]
    assert results[0][1].kind is Kind.ALERT
    assert len(session.notes) == 2
    assert session.pace.gap > 0


def test_giving_up_answers_everything_that_is_left() -> None:
    results: list[list[Answer]] = []
    reset = Answer(Kind.RESET)
    answers = {"good": [HELLO], "bad": [reset], "control": [reset]}
    session, _ = run(plan_of(results, asks("good", "bad", "more"), asks("good", "other")), answers | {"other": [reset]})
    assert session.exhausted
    assert not results[0][1].settled
    assert results[0][2].kind is Kind.RESET
    assert not results[0][2].settled


def test_patience_ends() -> None:
    results: list[list[Answer]] = []
    session, asked = run(plan_of(results, asks(*["good"] * 50)), {"good": [HELLO]}, patience=0.1)
    assert len(asked) < 20
    assert len(results[0]) == 50
    assert "no more was asked" in session.exhausted
