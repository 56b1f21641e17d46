"""A running manager among others on the same database: what they say is heard, what they saw is followed.

Rules of this file: news is for speed, looking is for certainty. Whatever a message could have said is also found by the
looks below, so that a lost message costs seconds and nothing else. What blocks runs in threads, what touches registry
and board in the loop's.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from plimsoll.manager.ports import Presence, ServiceError
from plimsoll.manager.services.events import NODE_SURE, NODE_UNSURE, NewEvent
from plimsoll.manager.services.hub import Change, Elsewhere
from plimsoll.manager.services.node_news import News, Refusal, changes
from plimsoll.net.sightings import Outcome, Sighting
from plimsoll.tls.floors import Point
from plimsoll.tls.versions import Version

if TYPE_CHECKING:
    from plimsoll.manager.services import Services

log = logging.getLogger(__name__)

#: Seconds between two looks: that one lives, whether the floors are the stored ones, and whom the others saw.
LOOK_SECONDS = 1.0
#: Seconds without a look that succeeded after which the floors in force are not known to be the current ones.
UNSURE_SECONDS = 10.0
#: What others saw is read again for so long: managers write down what they saw a second later, and their clocks differ.
OVERLAP_SECONDS = 10.0
#: Seconds that a start waits for the connection on which it hears the others; then it reads first, and once more later.
LISTEN_SECONDS = 5.0
#: Refusals that wait to be told; of more than that nobody learns anything new.
WAITING = 1_000
#: Refusals that one message carries.
TOGETHER = 20


class Here(Protocol):
    """What a running manager does with what it hears; all but `generation` is called in threads."""

    def generation(self) -> int:
        """Of the floors that the gates have in force."""
        ...

    def everyone(self) -> Sequence[str]:
        """The ids of all computers that are known here or in the store."""
        ...

    def seen_elsewhere(self, seen: Sequence[Presence]) -> None: ...


class NodeLink:
    """`listen` comes before anything is read of the store, `start` once all of it is in use, `stop` ends both. On an
    embedded store they do nothing.
    """

    def __init__(self, services: Services, here: Here, clock: Callable[[], float]) -> None:
        self._services = services
        self._here = here
        self._clock = clock
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._listening = threading.Event()
        self._taking = threading.Lock()
        #: What was heard while a start reads; None once that is in use.
        self._early: list[News | None] | None = []
        self._out: queue.SimpleQueue[Refusal] = queue.SimpleQueue()
        self._sure = time.monotonic()
        self._unsure = False
        self._followed: float | None = None
        self._others = 0
        #: Called with each look: what this manager counted goes to the others, and theirs comes here.
        self.counted: Callable[[], None] = lambda: None
        services.sightings.registered = self.probing

    def listen(self) -> None:
        """From a thread. What is read after this needs no second reading: changes meanwhile are kept until `start`."""
        if self._services.nodes.shared and self._thread is None:
            self._thread = threading.Thread(target=self._hear_forever, name="plimsoll-nodes", daemon=True)
            self._thread.start()
            self._listening.wait(LISTEN_SECONDS)
            with self._taking:
                if self._early is not None:
                    # The beginning itself, which says that everything may be another: nothing is read yet.
                    self._early.clear()

    def start(self) -> None:
        """From a thread: takes what was kept, and from now on whatever is heard."""
        with self._taking:
            early, self._early = self._early or [], None
            # After a gap everything is read, whatever else was said.
            for news in [None] if None in early else early:
                self._take_in_words(news)

    def stop(self) -> None:
        """From a thread: what waits is told, the others take over."""
        self._stopping.set()
        if self._services.nodes.shared:
            try:
                self._tell()
                self.counted()
            except ServiceError as error:
                log.warning("the other managers were not told everything: %s", error.message)
        self._services.nodes.end()
        if self._thread is not None:
            self._thread.join(5.0)
            self._thread = None

    # -- looking

    async def look_forever(self) -> None:
        """For the supervisor."""
        if not self._services.nodes.shared:
            return await asyncio.Event().wait() and None
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await asyncio.to_thread(self.look)
            except ServiceError as error:
                self._look_failed(error)
            else:
                self._looked()

    def look(self) -> None:
        """Says that this manager lives, takes floors that are newer than its own, follows what others saw."""
        nodes, settling = self._services.nodes, self._services.ca.settling
        self._tell()
        self._services.floors.follow()
        nodes.beat(self._here.generation(), settling.trouble, settling.in_force)
        self._others = len(nodes.others())
        self.counted()
        if self._others:
            self._follow()

    def _follow(self) -> None:
        since = self._followed
        started = self._clock()
        seen = self._services.computers.presence_since((started if since is None else since) - OVERLAP_SECONDS)
        self._followed = started
        if seen:
            self._here.seen_elsewhere(seen)

    def _looked(self) -> None:
        self._sure = time.monotonic()
        if self._unsure:
            self._unsure = False
            log.warning("this manager knows the current floors again")
            self._services.events.record_later(
                [NewEvent(NODE_SURE, "info", "This manager knows the current floors again.", time=self._clock())]
            )

    def _look_failed(self, error: ServiceError) -> None:
        away = time.monotonic() - self._sure
        if self._unsure or away < UNSURE_SECONDS:
            return
        self._unsure = True
        text = (
            f"This manager could not learn for {away:.0f} s whether the floors in force are the current ones: {error}"
            f" It goes on refusing what is below those that it knows, of generation {self._here.generation()}."
        )
        log.error("%s", text)
        self._services.events.record_later([NewEvent(NODE_UNSURE, "error", text, time=self._clock())])

    @property
    def unsure(self) -> bool:
        """Whether it is too long ago that the floors were found to be the current ones."""
        return self._unsure

    # -- hearing

    def _hear_forever(self) -> None:
        failing = False
        while not self._stopping.is_set():
            try:
                self._services.nodes.hear(self._heard, self._stopping.is_set)
                failing = False
            except ServiceError as error:
                if not failing:
                    log.error("what other managers say is not heard, and is looked for: %s", error.message)
                failing = True
                self._listening.set()
                self._stopping.wait(1.0)

    def _heard(self, news: News | None) -> None:
        with self._taking:
            if self._early is not None:
                self._early.append(news)
                self._listening.set()
                return
        self._take_in_words(news)

    def _take_in_words(self, news: News | None) -> None:
        try:
            self._take(news)
        except ServiceError as error:
            log.warning("what another manager changed was not read, and is looked for: %s", error.message)

    def _take(self, news: News | None) -> None:
        if news is None:
            # After a gap everything may be another.
            news = News("", many=True, floors=True, events=True, software=True, groups=True, authorities=True)
        if news.floors:
            self._services.floors.follow()
        if news.authorities:
            self._follow_authorities()
        everyone = self._here.everyone() if news.many else ()
        told: list[Change] = changes(news, everyone)
        if news.events:
            told.append(Elsewhere())
        for change in told:
            self._services.core_tell(change)
        for address, seconds in news.probers:
            self._services.sightings.note_prober(address, seconds)
        for refusal in news.refusals:
            sighting, computers = _read(refusal)
            self._services.changes.saw_refusal(sighting, computers)

    def _follow_authorities(self) -> None:
        try:
            self._services.ca.follow()
        except ServiceError as error:
            # The rest of the news counts all the same; this is looked for each second.
            log.error("the CAs that are stored are not in use here: %s", error.message)

    # -- telling

    def refused(self, sighting: Sighting, computers: Sequence[tuple[str, str]]) -> None:
        """In the loop's thread: a refusal that the manager which watches over a change should know of."""
        if self._others and self._out.qsize() < WAITING:
            self._out.put(_write(sighting, computers))

    def probing(self, address: str, seconds: int) -> None:
        """In a service's thread: our own scan comes from there, at the gates of the others too, before it begins."""
        if self._services.nodes.shared:
            self._services.nodes.say(News(self._services.nodes.own, probers=[(address, seconds)]))

    def _tell(self) -> None:
        while not self._out.empty():
            news = News(self._services.nodes.own)
            while not self._out.empty() and len(news.refusals) < TOGETHER:
                news.refusals.append(self._out.get())
            self._services.nodes.say(news)


def _write(sighting: Sighting, computers: Sequence[tuple[str, str]]) -> Refusal:
    return Refusal(
        point=sighting.point.value,
        address=sighting.address,
        ja4=sighting.ja4,
        when=sighting.last,
        offered=None if sighting.offered is None else sighting.offered.value,
        negotiated=None if sighting.negotiated is None else sighting.negotiated.value,
        computers=tuple(computers[:4]),
    )


def _read(refusal: Refusal) -> tuple[Sighting, Sequence[tuple[str, str]]]:
    offered = None if refusal.offered is None else Version(refusal.offered)
    sighting = Sighting(
        point=Point(refusal.point),
        address=refusal.address,
        offered=offered,
        versions=() if offered is None else (offered,),
        ja4=refusal.ja4,
        sni=None,
        outcome=Outcome.REFUSED,
        negotiated=None if refusal.negotiated is None else Version(refusal.negotiated),
        who=None,
        count=1,
        first=refusal.when,
        last=refusal.when,
    )
    return sighting, refusal.computers
