"""One endpoint: runs scripts side by side, and sends them only answers that can be trusted to be the server's.

A question that got no word from a TLS speaker (a reset, an end of file, silence, foreign bytes) may be the server's way
to say no, or a rate limit's, or a filter's. Then all else stops: a control, a question that was answered before, is
asked; then the question again; then the control again. Only where both controls hold is the silence the server's own.
Where a control fails, the session pauses, halves its rate, and begins anew. No sockets here: `take` gives what to ask
next, `answered` takes what came.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any, Final

from plimsoll.scan.asking import SPOKEN, Answer, Ask, Kind, Script, Want
from plimsoll.scan.pace import PAUSES, Pace

#: Asks for scripts to be run side by side; is sent their results.
Plan = Generator[list[Script[Any]], list[Any], None]

#: Without any answer yet: so many open questions before a control is tried.
_OPEN_QUESTIONS: Final = 3
#: Time between the questions of a check: a limit that lets one through should let the next one through too.
_SPACING: Final = {Kind.TIMEOUT: 0.25}
_SPACING_ELSE: Final = 0.05
#: How often a control is tried where nothing was ever answered, by what came instead.
_TRIES: Final = {Kind.FOREIGN: 1, Kind.OPENING_FAILED: 1, Kind.UNREACHABLE: 1, Kind.REFUSED_CONNECT: 1, Kind.TIMEOUT: 2}
_TRIES_ELSE: Final = 4
_UNCONNECTED: Final = (Kind.REFUSED_CONNECT, Kind.UNREACHABLE)


class Purpose(enum.Enum):
    """Why a question is out."""

    ASKED = 1
    CONTROL = 2
    AGAIN = 3


@dataclass(slots=True, eq=False, repr=False)
class Task:
    """A running script and its question.

    A question beside another is a task of its own that leads back to it: the script goes on when all have answers.
    """

    script: Script[Any]
    place: int
    ask: Ask
    lead: Task | None = None
    number: int = 0
    gathered: dict[int, Answer] = field(default_factory=dict)


@dataclass(slots=True, eq=False, repr=False)
class Outgoing:
    """A question on its way."""

    ask: Ask
    purpose: Purpose
    task: Task | None
    first_byte: float
    sent: float


@dataclass(slots=True, eq=False, repr=False)
class _Suspect:
    task: Task
    answer: Answer
    sent: float


class Session:
    """Runs a plan against one endpoint. `scout` is a small hello that anything should answer."""

    def __init__(self, plan: Plan, scouts: list[Ask], pace: Pace, patience: float, addresses: int = 1) -> None:
        self.pace = pace
        self.done = False
        self.flying = 0
        self.connections = 0
        #: How many addresses of the endpoint are left to try, and which is in use.
        self.address = 0
        self.exhausted = ""
        #: Numbers of answers: of the last ServerHello, and of the last alert.
        self.hello_at = self.alert_at = -1
        self.heard = 0
        self.notes: list[str] = []
        self.unheard: Answer | None = None
        self._addresses = addresses
        self._plan = plan
        self._scouts = scouts
        self._patience = patience
        self._deadline = 0.0
        self._begun = False
        self._ready: deque[Task] = deque()
        self._results: list[Any] = []
        self._running = 0
        self._witness: Ask | None = None
        self._witness_spoke = False
        self._suspects: list[_Suspect] = []
        self._step: Purpose | None = None
        self._settling = False
        self._fails = 0
        self._transients = 0

    # What the engine calls

    def start(self, now: float) -> None:
        """Begin."""
        self._deadline = now + self._patience
        self._advance([])

    def take(self, now: float) -> Outgoing | None:
        """The next question, or None: until an answer comes, or until `pace.not_before` where that lies ahead."""
        pace = self.pace
        if self.flying >= pace.width or self.done:
            return None
        if now > self._deadline and not self.exhausted:
            self._give_up(f"no more was asked after {self._patience:g} s")
        if self.done or now < pace.not_before:
            return None
        if self._step is not None or (self._suspects and not self._ready):
            return self._check(now)
        if not self._ready:
            return None
        task = self._ready.popleft()
        return self._send(Outgoing(task.ask, Purpose.ASKED, task, pace.first_byte, now), now)

    def answered(self, out: Outgoing, answer: Answer, now: float) -> None:
        """An answer to a question that `take` gave."""
        self.flying -= 1
        if answer.kind in SPOKEN:
            self._spoke(out, answer, now)
        else:
            self.unheard = answer
        if out.purpose is Purpose.ASKED:
            assert out.task is not None
            if answer.kind in SPOKEN or out.ask.once:
                self._deliver(out.task, answer)
            elif self.exhausted:
                answer.settled = False
                self._deliver(out.task, answer)
            else:
                self._suspect(out, answer)
        elif self.exhausted:
            return
        elif out.purpose is Purpose.CONTROL:
            self._control(answer, now)
        else:
            self._again(answer, now)

    # The plan and its scripts

    def _advance(self, results: list[Any]) -> None:
        """Let the plan say what to run next; scripts that end without a question are results at once."""
        while True:
            try:
                scripts = self._plan.send(results if self._begun else None)  # type: ignore[arg-type]  # as next() does
            except StopIteration:
                self.done = True
                return
            self._begun = True
            self._results = [None] * len(scripts)
            self._running = len(scripts)
            for place, script in enumerate(scripts):
                self._step_script(Task(script, place, Ask()), None)
            if self._running:
                return
            results = self._results

    def _step_script(self, task: Task, answer: Answer | None) -> None:
        try:
            task.ask = next(task.script) if answer is None else task.script.send(answer)
        except StopIteration as end:
            self._results[task.place] = end.value
            self._running -= 1
        else:
            beside = [Task(task.script, task.place, ask, task, at) for at, ask in enumerate(task.ask.beside, 1)]
            # A script that is under way goes on before others begin: its place in the order stays its own.
            if answer is None:
                self._ready.extend((task, *beside))
            else:
                self._ready.extendleft((*reversed(beside), task))

    def _hand(self, task: Task, answer: Answer) -> None:
        """Give the script its answer, once those beside it are there too."""
        lead = task.lead or task
        if lead.ask.beside:
            lead.gathered[task.number] = answer
            if len(lead.gathered) <= len(lead.ask.beside):
                return
            answer, *others = (lead.gathered[number] for number in sorted(lead.gathered))
            answer.beside = tuple(others)
            lead.gathered = {}
        self._step_script(lead, answer)

    def _deliver(self, task: Task, answer: Answer) -> None:
        self._hand(task, answer)
        if self.exhausted:
            self._drain()
        elif not self._running:
            self._advance(self._results)

    # Sending, and what an answer says of the network

    def _send(self, out: Outgoing, now: float) -> Outgoing:
        self.flying += 1
        self.connections += 1
        self.pace.sent(now)
        return out

    def _spoke(self, out: Outgoing, answer: Answer, now: float) -> None:
        self.heard += 1
        self.pace.answered(now, answer.elapsed)
        if answer.kind is Kind.SERVER_HELLO:
            self.hello_at = self.heard
            if not self._witness_spoke and out.ask.want is not Want.TALK:
                self._witness, self._witness_spoke = Ask(out.ask.hello, label="control"), True
        elif answer.kind is Kind.ALERT:
            self.alert_at = self.heard
            if self._witness is None and out.ask.want is not Want.TALK:
                self._witness = Ask(out.ask.hello, label="control")
        if self._suspects and self._step is None and self._witness is not None:
            self._step = Purpose.CONTROL

    # Questions that got no word

    def _suspect(self, out: Outgoing, answer: Answer) -> None:
        assert out.task is not None
        self._suspects.append(_Suspect(out.task, answer, out.sent))
        self.pace.width = 1
        if self._step is None and (
            self._witness is not None or len(self._suspects) >= _OPEN_QUESTIONS or answer.kind in _UNCONNECTED
        ):
            self._step = Purpose.CONTROL

    def _check(self, now: float) -> Outgoing | None:
        """The next question of a check: a control, or a suspect again."""
        if self.flying:
            return None
        step = self._step = self._step or Purpose.CONTROL
        suspect = self._suspects[0]
        if step is Purpose.CONTROL:
            ask = self._witness or self._scouts[self._fails % len(self._scouts)]
            return self._send(Outgoing(ask, step, None, self.pace.patient, now), now)
        return self._send(Outgoing(suspect.task.ask, step, suspect.task, self.pace.patient, now), now)

    def _space(self, now: float) -> None:
        self.pace.pause(now, _SPACING.get(self._suspects[0].answer.kind, _SPACING_ELSE))

    def _control(self, answer: Answer, now: float) -> None:
        if answer.kind in SPOKEN and (not self._witness_spoke or answer.kind is Kind.SERVER_HELLO):
            self._fails = 0
            if self._settling:
                self._settling = False
                self._settled(self._suspects[0].answer)
            else:
                self._step = Purpose.AGAIN
                self._space(now)
            return
        self._settling = False
        self._fails += 1
        if self._fails >= self._tries(answer):
            if self._witness is None and answer.kind in _UNCONNECTED and self.address + 1 < self._addresses:
                self.address += 1
                self._fails = 0
                return
            self._give_up(f"{answer} to a question that should be answered")
            return
        self.pace.slow_down(self._suspects[0].sent)
        self.pace.pause(now, PAUSES[min(self._fails, len(PAUSES)) - 1])
        self.notes.append(
            f"{answer} to the control: a pause, then at most {1 / self.pace.gap:.3g} connections a second"
        )

    def _tries(self, answer: Answer) -> int:
        if self._witness is not None:
            return len(PAUSES) + 1
        return _TRIES.get(answer.kind, _TRIES_ELSE)

    def _again(self, answer: Answer, now: float) -> None:
        suspect = self._suspects[0]
        if answer.kind in SPOKEN:
            self._transients += 1
            if self._transients > 1:
                self.pace.slow_down(suspect.sent, lost=True)
            self._settled(answer)
            return
        suspect.answer = answer
        self._settling = True
        self._step = Purpose.CONTROL
        self._space(now)

    def _settled(self, answer: Answer) -> None:
        """The first suspect has its answer; the control has just held, so the next one can be asked at once."""
        suspect = self._suspects.pop(0)
        self._step = Purpose.AGAIN if self._suspects else None
        self._deliver(suspect.task, answer)

    def _give_up(self, why: str) -> None:
        """Nothing more goes out: every question, now and later, has what is known for its answer."""
        self.exhausted = why
        self.notes.append(why)
        self._step = None
        suspects, self._suspects = self._suspects, []
        for suspect in suspects:
            suspect.answer.settled = False
            self._hand(suspect.task, suspect.answer)
        self._drain()

    def _drain(self) -> None:
        """Answer what is ready without asking, until the plan ends or waits for what is still out."""
        last = self.unheard or Answer(Kind.TIMEOUT)
        while not self.done:
            while self._ready:
                task = self._ready.popleft()
                self._hand(task, Answer(last.kind, detail=self.exhausted, settled=False))
            if self._running:
                return
            self._advance(self._results)
