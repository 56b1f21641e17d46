"""The seam between what is asked and how it travels: a script yields `Ask`s and is sent `Answer`s.

Scripts are generators without sockets and without a clock, so that a test can play the server. The session decides when
an Ask goes out and asks again where an answer could be the network's and not the server's: what a script is sent is
settled. `dial` is the only place with sockets.
"""

from __future__ import annotations

import enum
from collections.abc import Generator
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

from plimsoll.tls.alerts import Alert
from plimsoll.tls.flight import Flight
from plimsoll.tls.server_hello import ServerHello

Result = TypeVar("Result")
#: What the session runs: one question at a time, one answer back, and a result at the end.
Script = Generator["Ask", "Answer", Result]

#: As much of an answer as is kept for people to see.
SHOWN_BYTES: Final = 64


class Want(enum.Enum):
    """How far the answer is read."""

    #: Up to the ServerHello or HelloRetryRequest.
    FIRST = "first"
    #: Up to ServerHelloDone (before TLS 1.3), or the ServerHello where it chose TLS 1.3.
    FLIGHT = "flight"
    #: As long as the Ask's own `peer` has not done.
    TALK = "talk"


class Kind(enum.Enum):
    """What came back."""

    SERVER_HELLO = "ServerHello"
    SSL2_HELLO = "SSLv2 SERVER-HELLO"
    #: A fatal alert, or an alert after which the peer closed.
    ALERT = "alert"
    RESET = "connection reset"
    #: The peer closed before a whole answer.
    EOF = "connection closed"
    TIMEOUT = "no answer in time"
    #: Bytes that are no TLS, or TLS that breaks its own rules; `Answer.detail` names them.
    FOREIGN = "foreign bytes"
    REFUSED_CONNECT = "connection refused"
    #: No route, a connect that ran out of time, a name that does not resolve, no local resources.
    UNREACHABLE = "unreachable"
    #: The protocol before TLS did not offer TLS; `Answer.detail` has its words.
    OPENING_FAILED = "opening failed"
    #: The Ask's `peer` has done; its result is in its own hands.
    TALKED = "talked"


#: Answers of a TLS speaker to this very question.
SPOKEN: Final = frozenset({Kind.SERVER_HELLO, Kind.SSL2_HELLO, Kind.ALERT, Kind.TALKED})
#: Answers that a busy network, a rate limit or a filter gives as well as a server.
UNSETTLED: Final = frozenset({Kind.RESET, Kind.EOF, Kind.TIMEOUT, Kind.REFUSED_CONNECT, Kind.UNREACHABLE})


class Conversation(Protocol):
    """A longer exchange, without sockets: dialled, fed what arrives, and done when it says so.

    `feed` may raise HelloError, which becomes an Answer of kind FOREIGN. At an end of file, a reset or a time-out
    `ended` is called first; where it leaves `done` False, that end is the answer (EOF, RESET, TIMEOUT).
    A new one is needed for each Ask; since the session may ask again, `Ask.peer` is a function that makes it.
    """

    @property
    def done(self) -> bool:
        """True when nothing more is to be read."""
        ...

    def start(self) -> bytes:
        """The first bytes to send; b"" where there is nothing to say yet."""
        ...

    def feed(self, data: bytes) -> bytes:
        """Take what arrived, give what to send: its last words too, when it has done."""
        ...

    def ended(self) -> None:
        """Nothing more will come: `done` becomes True where the exchange may end so."""
        ...


class PeerMaker(Protocol):
    """Makes the conversation of one attempt."""

    def __call__(self) -> Conversation: ...


@dataclass(slots=True)
class Ask:
    """One question: one connection, one hello.

    With `want` TALK, `peer` is what talks and `hello` is not sent (the conversation's `start` is). `label` is for
    people ("TLS 1.0, all suites"). `once` says that it is never asked again, whatever the answer: for
    questions whose silence is an answer too. `whole` bounds the time for the whole answer, where it is less than the
    scan's own. `beside` are questions that need not wait for this one: all of them are answered together.
    """

    hello: bytes = b""
    want: Want = Want.FIRST
    peer: PeerMaker | None = None
    label: str = ""
    once: bool = False
    whole: float = 0.0
    beside: tuple[Ask, ...] = ()


@dataclass(slots=True)
class Answer:
    """What came back. `first_bytes` are the first bytes that the peer sent, for people to see.

    `talk` is the conversation that `Ask.peer` made, for its results, also where it broke off. `settled` is False where
    an unanswered question was not asked again (nothing else had been answered either). `beside` are the answers to
    `Ask.beside`, one for one.
    """

    kind: Kind
    hello: ServerHello | None = None
    alert: Alert | int | None = None
    flight: Flight | None = None
    detail: str = ""
    first_bytes: bytes = b""
    elapsed: float = 0.0
    talk: Conversation | None = None
    ssl2_kinds: tuple[int, ...] = ()
    settled: bool = True
    beside: tuple[Answer, ...] = ()

    @property
    def spoken(self) -> bool:
        """True where a TLS speaker answered this very question."""
        return self.kind in SPOKEN

    def __str__(self) -> str:
        if self.kind is Kind.ALERT and self.alert is not None:
            return f"alert {alert_text(self.alert)}"
        return f"{self.kind.value}: {self.detail}" if self.detail else self.kind.value


def alert_text(alert: Alert | int) -> str:
    """An alert as people look it up: ``protocol_version (70)``."""
    return f"{alert.label} ({int(alert)})" if isinstance(alert, Alert) else f"number {alert}"
