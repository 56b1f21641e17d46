"""Judgements that are looked at: a preflight is asked once, and its names are read page by page, and downloaded.

A fleet of a hundred thousand takes most of a second to judge. Whoever asks gets a future at once; what came of it is
kept for a while, so that page two is of the same judgement as page one. The ids of who would be cut off go to the store
too, so that a raise that is forced can be held to the names that were shown at any manager, also after a restart.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from plimsoll.fleet.advice import Advice
from plimsoll.fleet.findings import Preflight
from plimsoll.manager.ports import BadInput, Permission, Principal, ServiceError, permits
from plimsoll.manager.services.ciphers import CiphersService, parse_own_points, parse_profile
from plimsoll.manager.services.core import Core
from plimsoll.manager.services.floors import parse_floor, parse_points
from plimsoll.manager.services.judgement import JudgementService
from plimsoll.manager.store import kept_judgements
from plimsoll.tls.floors import Point

log = logging.getLogger(__name__)

#: How many judgements are kept, and for how long, in seconds. One of 100,000 blockers takes some 60 MB.
KEPT = 8
LASTS = 1800.0
#: Judgements whose names are in the store, of all managers together: 2 MB each with 100,000 blockers.
SHOWN = 24
#: Seconds for which an advice is good: it tells of a deployment, not of a minute.
ADVICE_LASTS = 60.0


@dataclass(frozen=True, slots=True)
class Question:
    """Could these points hold that floor? With `ciphers`: that cipher profile. No points are all."""

    to: str
    points: tuple[str, ...] = ()
    ciphers: bool = False


@dataclass(frozen=True, slots=True)
class Judged:
    """What a question was answered with; `at` is when it was asked, in seconds since the epoch."""

    id: str
    question: Question
    points: tuple[Point, ...]
    at: float
    answer: Future[Preflight]


class JudgedService:
    def __init__(self, core: Core, judgement: JudgementService, ciphers: CiphersService) -> None:
        self._core = core
        self._judgement = judgement
        self._ciphers = ciphers
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, Judged] = OrderedDict()
        # One at a time: two would only share the processor.
        self._pool = ThreadPoolExecutor(1, "judging")
        self._advice: tuple[float, Future[Advice]] | None = None

    @permits(Permission.FLOORS_READ)
    def ask(self, principal: Principal, question: Question, kept: str = "") -> Judged:
        """The judgement `kept`, where it is there and answers this question; else a new one begins.

        Raises BadInput for a floor, profile or point that does not exist. `answer` raises what judging raises.
        """
        points = _points(question)
        with self._lock:
            self._forget()
            # One that is not answered yet answers whoever asks the same meanwhile.
            waiting = [one for one in self._kept.values() if not one.answer.done()]
            for one in (*filter(None, [self._kept.get(kept)]), *waiting):
                same = one.question.to == question.to and one.question.ciphers == question.ciphers
                if same and one.points == points:
                    return one
            names = [point.value for point in points]
            judge = self._ciphers.preflight if question.ciphers else self._judgement.preflight
            identifier, now = secrets.token_hex(16), self._core.clock()

            def work() -> Preflight:
                found = judge(principal, question.to, names)
                self._keep(identifier, now, found)
                return found

            new = Judged(identifier, question, points, now, self._pool.submit(work))
            self._kept[new.id] = new
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
            return new

    @permits(Permission.FLOORS_READ)
    def names(self, principal: Principal, kept: str) -> frozenset[str] | None:
        """The ids of the blockers and affected programs of a judgement that is kept, whichever manager made it.

        None where it is not any more, or has not been answered.
        """
        with self._lock:
            self._forget()
            known = self._kept.get(kept)
        if known is None:
            since = self._core.clock() - LASTS
            return self._core.store.read(lambda c: kept_judgements.names(c, kept, since)) if kept else None
        if not known.answer.done() or known.answer.exception() is not None:
            return None
        return _named(known.answer.result())

    def _keep(self, judgement: str, at: float, found: Preflight) -> None:
        """Before anybody is shown it. Where the store is away, it is good at this manager alone."""
        named = _named(found)
        try:
            self._core.store.write(lambda c: kept_judgements.keep(c, judgement, at, named, SHOWN, at - LASTS))
        except ServiceError as error:
            log.warning("who was shown is known to this manager alone: %s", error.message)

    @permits(Permission.FLOORS_READ)
    def advice(self, principal: Principal) -> Future[Advice]:
        """The advice for this deployment (R8), of the last minute or a new one."""
        now = self._core.clock()
        with self._lock:
            known = self._advice
            if known is not None and now - known[0] < ADVICE_LASTS and not (known[1].done() and known[1].exception()):
                return known[1]
            answer = self._pool.submit(self._judgement.advice, principal)
            self._advice = now, answer
            return answer

    def _forget(self) -> None:
        before = self._core.clock() - LASTS
        for one in [one.id for one in self._kept.values() if one.at < before]:
            del self._kept[one]


def _named(found: Preflight) -> frozenset[str]:
    return frozenset(finding.id for finding in (*found.blockers, *found.affected))


def _points(question: Question) -> tuple[Point, ...]:
    names = question.points or ("all",)
    if question.ciphers:
        parse_profile(question.to)
        return parse_own_points(names)
    parse_floor(question.to)
    points = {point for name in names for point in parse_points(name)}
    if not points:
        raise BadInput("say for which points; nothing was judged")
    return tuple(point for point in Point if point in points)
