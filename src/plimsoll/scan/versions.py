"""Is a version accepted? A ladder of offers, so that a "no" is the server's own and not the hello's fault.

The first rung offers everything at once. Where that fails, the same in small hellos, then what any client of any decade
would say; for TLS 1.3 fewer groups, then a real key share. Alert 70 ends the ladder: it speaks of the version itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from plimsoll.scan import suites as suites_script
from plimsoll.scan.asking import Answer, Ask, Kind, Script, Want
from plimsoll.scan.hellos import CLASSIC, suites_13, suites_before_12, suites_early
from plimsoll.scan.knowledge import (
    CHUNKS,
    FEW,
    FINAL,
    REFUSALS,
    RETRY,
    RETRY_FEW,
    SHARE,
    WHOLE,
    Attempted,
    Finding,
    Form,
    Known,
)
from plimsoll.scan.report import Outcome
from plimsoll.tls.sslv2 import NO_CIPHER, encode_ssl2_hello
from plimsoll.tls.versions import Version

#: Asked in this order: what is most likely allowed first, as the control for the refusals that follow.
ORDER: Final = (Version.TLS1_2, Version.TLS1_3, Version.TLS1_0, Version.TLS1_1, Version.SSL3, Version.SSL2)

_SSL2_HELLO: Final = encode_ssl2_hello()


@dataclass(slots=True, eq=False, repr=False)
class Rung:
    """One step of the ladder: a form, and the offers that together cover it."""

    form: Form
    offers: list[Sequence[int]]


@dataclass(slots=True, eq=False, repr=False)
class Start:
    """The offer that was accepted, those that were not asked yet on its rung, and the answer."""

    form: Form
    offer: Sequence[int]
    rest: list[Sequence[int]]
    answer: Answer


def ask_version(known: Known, version: Version) -> Script[Finding]:
    """All about one version: accepted or not, and if it is (and the scan is a full one) its suites and groups."""
    finding = Finding(version)
    known.findings[version] = finding
    if version is Version.SSL2:
        yield from _ask_ssl2(finding)
        return finding
    start = None
    for named in _namings(known, version):
        start = yield from _climb(known, finding, named)
        if start is not None:
            finding.only_without_name = not named and bool(known.hellos.server_name) and version is not Version.SSL3
            break
    if start is not None:
        yield from _explore(known, finding, start)
    return finding


def _namings(known: Known, version: Version) -> tuple[bool, ...]:
    return (True, False) if known.hellos.server_name and version is not Version.SSL3 else (False,)


def _explore(known: Known, finding: Finding, start: Start) -> Script[None]:
    assert start.answer.hello is not None
    finding.form = start.form
    finding.hello = start.answer.hello
    if known.full:
        yield from suites_script.enumerate_suites(known, finding, start.offer, start.rest, start.answer)
        if finding.named and known.hellos.server_name and finding.version is not Version.SSL3:
            yield from _without_name(known, finding)
    else:
        suites_script.note(finding, start.answer)


def _without_name(known: Known, finding: Finding) -> Script[None]:
    hello = known.hello(finding.version, finding.form, finding.suites, named=False)
    answer = yield Ask(hello, label=f"{finding.version.label} without a server name")
    if not finding.has_chosen(answer):
        finding.only_with_name = True
        finding.evidence.append(f"{answer} to a hello without a server name")


def _rungs(known: Known, version: Version, named: bool, refused: list[bool]) -> Iterator[Rung]:
    """The ladder, made while it is climbed: `refused` tells for each rung so far whether it ended in refusals."""
    if version is Version.TLS1_3:
        for form in (RETRY, RETRY_FEW, SHARE):
            yield Rung(form, [suites_13()])
        return
    everything = suites_early()
    if not known.small:
        yield Rung(WHOLE, [everything])
    early = everything if version is Version.TLS1_2 else suites_before_12()
    if known.full or refused != [True]:
        # A sweep takes the refusal of all suites and of the classic ones for enough.
        yield Rung(CHUNKS, known.hellos.chunks(version, early, named=named))
    yield Rung(FEW, [CLASSIC])


def _climb(known: Known, finding: Finding, named: bool) -> Script[Start | None]:
    """Climb the ladder until something is accepted, or there is no rung left."""
    attempted = finding.attempts[named] = Attempted(Outcome.INCONCLUSIVE)
    finding.named = named
    refused: list[bool] = []
    for rung in _rungs(known, finding.version, named, refused):
        answers: list[Answer] = []
        for at, offer in enumerate(rung.offers):
            want = Want.FIRST if finding.version is Version.TLS1_3 else Want.FLIGHT
            answer = yield Ask(_hello(known, finding.version, rung.form, at, offer, named), want, label=rung.form.label)
            if finding.has_chosen(answer):
                if rung.form is CHUNKS and refused == [False]:
                    known.small = True
                attempted.outcome = Outcome.ACCEPTED
                _say(attempted, rung, answers, named)
                return Start(rung.form, offer, rung.offers[at + 1 :], answer)
            answers.append(answer)
            attempted.last = answer
            if _is_final(answer, finding.version):
                attempted.outcome = Outcome.REFUSED
                _say(attempted, rung, answers, named)
                return None
            if answer.kind is Kind.TIMEOUT:
                break  # each silence costs seconds, and one is enough to know that this rung proves nothing
        _say(attempted, rung, answers, named)
        refused.append(all(_is_refusal(answer) for answer in answers))
    # The first rung may have been too big for something on the way; what followed covers it. The groups of TLS 1.3 are
    # on its first rung only.
    needed = refused if finding.version is Version.TLS1_3 or len(refused) < 3 else refused[1:]
    if all(needed):
        attempted.outcome = Outcome.REFUSED
    return None


def _hello(known: Known, version: Version, form: Form, at: int, offer: Sequence[int], named: bool) -> bytes:
    """The same hello opens the scan of every endpoint, so it is kept."""
    key = (version.wire, form.label, at, len(offer), named)
    kept = known.hellos.kept
    hello = kept.get(key)
    if hello is None:
        hello = kept[key] = known.hello(version, form, tuple(offer), named)
    return hello


def _is_final(answer: Answer, version: Version) -> bool:
    """True where the server spoke of the version itself: alert 70, or an older version in its place."""
    if answer.kind is Kind.ALERT:
        return answer.alert is FINAL
    if answer.kind is not Kind.SERVER_HELLO or answer.hello is None:
        return False
    chosen = answer.hello.version
    return chosen is not None and chosen < version


def _is_refusal(answer: Answer) -> bool:
    return answer.kind is Kind.ALERT and answer.alert in REFUSALS


def _say(attempted: Attempted, rung: Rung, answers: list[Answer], named: bool) -> None:
    """Evidence as sentences, the same answer to several offers in one."""
    told: dict[str, int] = {}
    for answer in answers:
        text = str(answer)
        if answer.kind is Kind.SERVER_HELLO and answer.hello is not None:
            version = answer.hello.version
            text = f"a ServerHello of {version.label if version else hex(answer.hello.version_number)}"
        told[text] = told.get(text, 0) + 1
    for text, count in told.items():
        many = f" ({count} hellos)" if count > 1 else ""
        attempted.evidence.append(f"{text} to {rung.form.label}{many}")


def _ask_ssl2(finding: Finding) -> Script[None]:
    attempted = finding.attempts[False] = Attempted(Outcome.INCONCLUSIVE)
    finding.named = False
    answer = yield Ask(_SSL2_HELLO, label="SSLv2")
    attempted.last = answer
    attempted.evidence.append(f"{answer} to an SSLv2 hello")
    if answer.kind is Kind.SSL2_HELLO and not answer.detail:
        attempted.outcome = Outcome.ACCEPTED
        finding.suites = list(answer.ssl2_kinds)
        finding.suites_complete = True
    elif _is_refusal(answer) or _is_final(answer, Version.SSL2) or _is_ssl2_refusal(answer):
        attempted.outcome = Outcome.REFUSED


def _is_ssl2_refusal(answer: Answer) -> bool:
    """SSL 2's own word for it: an ERROR message, no cipher, to a hello that had all of them."""
    return answer.kind is Kind.SSL2_HELLO and answer.detail == NO_CIPHER


def conclude(known: Known, finding: Finding) -> tuple[Outcome, tuple[str, ...]]:
    """One outcome from the namings, and the evidence for it.

    Where no accepted version answers to a hello without a name either, such hellos tell nothing about a version.
    """
    attempts = finding.attempts
    sentences = [text for attempted in attempts.values() for text in attempted.evidence]
    if len(attempts) == 2:
        sentences = [
            text if named else f"{text}, without a server name"
            for named, attempted in attempts.items()
            for text in attempted.evidence
        ]
    sentences += finding.evidence
    outcomes = {named: attempted.outcome for named, attempted in attempts.items()}
    if Outcome.ACCEPTED in outcomes.values():
        return Outcome.ACCEPTED, tuple(sentences)
    if outcomes.get(False) is Outcome.INCONCLUSIVE and outcomes.get(True) is Outcome.REFUSED and _name_is_needed(known):
        sentences.append("no version answers to hellos without a server name, so those tell nothing")
        return Outcome.REFUSED, tuple(sentences)
    if outcomes.get(True) is Outcome.INCONCLUSIVE and outcomes.get(False) is Outcome.REFUSED and _name_hinders(known):
        sentences.append("no version answers to hellos with that server name, so those tell nothing")
        return Outcome.REFUSED, tuple(sentences)
    if outcomes and all(outcome is Outcome.REFUSED for outcome in outcomes.values()):
        return Outcome.REFUSED, tuple(sentences)
    return (Outcome.INCONCLUSIVE if outcomes else Outcome.NOT_ASKED), tuple(sentences)


def _name_is_needed(known: Known) -> bool:
    able = [found for found in known.accepted if found.version is not Version.SSL3]
    return bool(able) and all(found.only_with_name for found in able)


def _name_hinders(known: Known) -> bool:
    able = [found for found in known.accepted if found.version is not Version.SSL3]
    return bool(able) and all(found.only_without_name for found in able)
