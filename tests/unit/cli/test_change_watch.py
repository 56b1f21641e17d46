"""`change status --watch`: on a terminal, in a pipe, over a restart of the manager, and on a stopped one."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any, cast

import pytest

from plimsoll.cli._change_watch import watch
from plimsoll.cli._client import Client
from plimsoll.cli._errors import Code, CommandError
from plimsoll.cli._output import Output

STAGES = ["preflight", "shadow", "heartbeat canary", "heartbeat", "proof"]


def state(text: str, log: int, *, at: str = "running", stage: str = "shadow", **more: Any) -> dict[str, Any]:
    entries = [
        {"time": 1_795_701_000.0 + n, "stage": "shadow", "what": "noted", "text": f"entry {n}"} for n in range(log)
    ]
    figures = [
        {"rule": "soak", "value": "3 s", "limit": "8 s", "ok": False, "breach": "waits", "evidence": []},
        {"rule": "refused by what was raised", "value": "none", "limit": "none", "ok": True, "breach": "takes it back"},
    ]
    return {
        "id": 7, "direction": "raise", "to": "TLSv1.2", "points": ["heartbeat"], "state": at, "stage": stage,
        "stages": STAGES, "text": text, "log": entries, "figures": figures, "proof": None,
    } | more  # fmt: skip


class Answers:
    """A client that gives these answers in turn; an exception is raised."""

    live = True

    def __init__(self, answers: Sequence[dict[str, Any] | Exception]) -> None:
        self._answers = list(answers)

    def get(self, path: str) -> dict[str, Any]:
        assert path == "/api/tls/changes/7"
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


DONE = state("proved", 3, at="done", stage="proof", proof={"verdict": "proved"})


def watched(answers: Sequence[dict[str, Any] | Exception], out: io.StringIO | None = None) -> tuple[int, str, str]:
    out, err = out or io.StringIO(), io.StringIO()
    code = watch(Output(out, err), cast(Client, Answers(answers)), 7, every=0.0)
    return code, out.getvalue(), err.getvalue()


def test_a_pipe_gets_each_entry_once_and_is_not_told_of_each_second() -> None:
    waits = [state(f"waits for soak: {n} s of 8 s", 1) for n in range(8)]
    code, out, err = watched([*waits, state("waits for seen in this stage: 1 of 2 online", 2), DONE])
    assert code == Code.OK
    assert [line.split(": ")[-1] for line in out.splitlines()] == ["entry 0", "entry 1", "entry 2", "proved"]
    assert err.splitlines() == [
        "plimsoll: running, shadow: waits for soak: 0 s of 8 s",
        "plimsoll: running, shadow: waits for seen in this stage: 1 of 2 online",
    ]


def test_a_terminal_sees_every_rule_with_its_figure_and_the_entries_above() -> None:
    terminal = Terminal()
    code, out, _ = watched([state("waits for soak: 3 s of 8 s", 1), DONE], terminal)
    assert code == Code.OK
    for shown in ("change 7, raise to TLSv1.2 at heartbeat", "preflight ✓", "soak", "3 s", "8 s", "takes it back"):
        assert shown in out
    assert (
        out.index("entry 0") < out.index("HEALTH RULE") < out.index("entry 2") < out.index("change 7 is done: proved")
    )


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        (state("old-1 was refused", 1, at="taken back"), Code.BLOCKERS),
        (state("5 are silent", 1, at="halted"), Code.BLOCKERS),
        (state("not proved: relay of r", 1, at="done", proof={"verdict": "not proved"}), Code.NOT_PROVED),
        (state("violated: relay of r", 1, at="done", proof={"verdict": "violated"}), Code.BLOCKERS),
        (state("aborted by uid 0", 1, at="aborted"), Code.OK),
    ],
)
def test_the_exit_code_is_that_of_its_end(last: dict[str, Any], expected: Code) -> None:
    code, out, err = watched([last])
    assert code == expected
    assert last["text"] in out
    assert ("resume 7" in err) is (last["state"] == "halted")


def test_a_manager_that_restarts_is_waited_for_and_any_other_error_is_not() -> None:
    gone = CommandError("the manager at /x was not reached: connection refused", Code.UNREACHABLE)
    code, _, err = watched([state("x", 1), gone, gone, state("x", 1), DONE])
    assert code == Code.OK
    assert err.count("was not reached") == 1
    assert "answers again" in err
    with pytest.raises(CommandError, match="role"):
        watched([CommandError("your role does not include this", Code.REFUSED)])


def test_a_stopped_manager_changes_nothing_by_itself() -> None:
    answers = Answers([])
    answers.live = False
    err = io.StringIO()
    assert watch(Output(io.StringIO(), err), cast(Client, answers), 7) == Code.OK
    assert "goes on when it runs" in err.getvalue()
