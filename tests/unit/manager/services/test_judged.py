"""Judgements that are kept to be looked at page by page."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.homes import ROOT, Desk, desk

from plimsoll.manager.ports import BadInput, Conflict, Unavailable
from plimsoll.manager.services.judged import KEPT, LASTS, SHOWN, JudgedService, Question
from plimsoll.manager.store import kept_judgements
from plimsoll.tls.floors import Point


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Desk]:
    with desk(tmp_path) as opened:
        opened.activate("never-seen", version="9.6.2")
        yield opened


def test_a_judgement_is_found_again_and_only_for_its_own_question(at: Desk) -> None:
    judged = at.services.judged
    first = judged.ask(ROOT, Question("TLSv1.2"))
    assert [one.who for one in first.answer.result(30).blockers] == ["never-seen"]
    assert judged.ask(ROOT, Question("TLSv1.2"), first.id) is first
    assert judged.ask(ROOT, Question("TLSv1.2", ("all",)), first.id) is first, "no points are all"
    other = judged.ask(ROOT, Question("TLSv1.2", ("gui",)), first.id)
    assert other.id != first.id
    assert other.points == (Point.GUI,)
    other.answer.result(30)
    assert judged.ask(ROOT, Question("TLSv1.2")).id != first.id, "who does not name one is judged anew"


def test_its_names_are_known_while_it_is_kept(at: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    judged = at.services.judged
    first = judged.ask(ROOT, Question("TLSv1.2"))
    first.answer.result(30)
    (blocker,) = at.services.judgement.preflight(ROOT, "TLSv1.2").blockers
    assert judged.names(ROOT, first.id) == frozenset({blocker.id})
    assert judged.names(ROOT, "another") is None
    for _ in range(SHOWN - 1):
        judged.ask(ROOT, Question("TLSv1.3")).answer.result(30)
    assert len(judged._kept) == KEPT
    assert judged.names(ROOT, first.id) == frozenset({blocker.id}), "the store knows more of them"
    judged.ask(ROOT, Question("TLSv1.3")).answer.result(30)
    assert judged.names(ROOT, first.id) is None
    last = judged.ask(ROOT, Question("TLSv1.2"))
    last.answer.result(30)
    now = at.services.judged._core.clock()
    monkeypatch.setattr(at.services.judged._core, "clock", lambda: now + LASTS + 1)
    assert judged.names(ROOT, last.id) is None
    judged.ask(ROOT, Question("TLSv1.3")).answer.result(30)
    assert at.home.store.read(lambda c: kept_judgements.names(c, last.id, 0.0)) is None, "what is too old goes"


def test_another_manager_holds_a_forced_raise_to_the_names_that_were_shown_here(at: Desk) -> None:
    shown = at.services.judged.ask(ROOT, Question("TLSv1.2"))
    shown.answer.result(30)
    core = at.services.judged._core
    other = JudgedService(core, at.services.judgement, at.services.ciphers)
    names = other.names(ROOT, shown.id)
    assert names == at.services.judged.names(ROOT, shown.id)
    at.services.floors.set_minimum(ROOT, "TLSv1")
    late = at.activate("came-later", version="9.6.2")
    with pytest.raises(Conflict, match="came-later"):
        at.services.floors.set(ROOT, "TLSv1.2", "all", True, "known", seen=names)
    at.services.computers.delete(ROOT, late.computer)
    assert at.services.floors.set(ROOT, "TLSv1.2", "all", True, "known", seen=names).changed


def test_a_store_that_is_away_keeps_nobody_from_looking(at: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: Any) -> None:
        raise Unavailable("the store is away")

    monkeypatch.setattr(at.services.judged._core.store, "write", away)
    monkeypatch.setattr(at.services.judgement, "absorb", lambda: None)
    judged = at.services.judged.ask(ROOT, Question("strong", ciphers=True))
    judged.answer.result(30)
    assert at.services.judged.names(ROOT, judged.id) is not None


def test_who_asks_the_same_while_it_is_judged_waits_for_the_same_answer(
    at: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    going = threading.Event()
    usual = at.services.judgement.judge

    def slow(*args: Any) -> Any:
        going.wait(30)
        return usual(*args)

    monkeypatch.setattr(at.services.judgement, "judge", slow)
    first = at.services.judged.ask(ROOT, Question("TLSv1.2"))
    assert at.services.judged.ask(ROOT, Question("TLSv1.2")) is first
    assert at.services.judged.names(ROOT, first.id) is None, "nobody has seen names yet"
    going.set()
    assert first.answer.result(30).blocked


def test_cipher_profiles_too_and_questions_without_sense(at: Desk) -> None:
    judged = at.services.judged
    assert judged.ask(ROOT, Question("strong", ciphers=True)).points == (Point.HEARTBEAT, Point.GUI)
    for question in (Question("TLSv9"), Question("TLSv1.2", ("attic",)), Question("strong", ("relay",), ciphers=True)):
        with pytest.raises(BadInput):
            judged.ask(ROOT, question)


def test_an_advice_is_good_for_a_minute(at: Desk) -> None:
    first = at.services.judged.advice(ROOT)
    assert first.result(30).deciding[0].who == "never-seen"
    assert at.services.judged.advice(ROOT) is first
