"""A manager made of canned answers, with the real REST paths, and a way to play a terminal transcript against it."""

from __future__ import annotations

import io
import json
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from plimsoll.cli import _client, dsm_c, main
from plimsoll.cli._output import Output
from plimsoll.cli._session import Session

Answers = dict[tuple[str, str], tuple[int, Any]]


class FakeManager:
    """An ASGI application that answers from a table and keeps what it was asked."""

    def __init__(self, answers: Answers) -> None:
        self.answers = answers
        self.asked: list[tuple[str, str, dict[str, str], Any]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        query = dict(part.split("=", 1) for part in scope["query_string"].decode().split("&") if part)
        self.asked.append((scope["method"], scope["path"], query, json.loads(body) if body else None))
        status, answer = self.answers.get(
            (scope["method"], scope["path"]), (404, {"message": "there is no such thing"})
        )
        if callable(answer):
            answer = answer(self.asked[-1])
        content = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})


@dataclass
class Ran:
    """What one command left behind."""

    code: int
    out: str
    err: str

    def text(self) -> str:
        """As a transcript has it: results, then talk marked with ``2>``, then the exit code where it is not 0."""
        lines = self.out.splitlines() + [f"2> {line}" for line in self.err.splitlines()]
        if self.code:
            lines.append(f"[{self.code}]")
        return "\n".join(lines)


@dataclass
class Shell:
    """Runs command lines of both programs in this process, against one fake manager."""

    manager: FakeManager
    env: Mapping[str, str] = field(default_factory=dict)

    def run(self, line: str) -> Ran:
        program, *arguments = shlex.split(line)
        out, err = io.StringIO(), io.StringIO()
        output = Output(out, err, program)

        def client(*_: object) -> _client.Client:
            return _client.in_process(self.manager, "the fake manager")

        runners: dict[str, Callable[[], int]] = {
            "plimsoll": lambda: main.main(arguments, Session(output=output, env=self.env, connect=client)),
            "dsm_c": lambda: dsm_c.main(arguments, output, self.env, client),
        }
        code = runners[program]()
        return Ran(code, out.getvalue(), err.getvalue())


def play(path: Path, shell: Shell) -> None:
    """Runs every ``$`` line of a transcript and compares what follows it, to the letter."""
    blocks: list[tuple[str, list[str]]] = []
    for line in path.read_text().splitlines():
        if line.startswith("$ "):
            blocks.append((line[2:], []))
        elif line.startswith("#") or not blocks:
            continue
        else:
            blocks[-1][1].append(line)
    assert blocks, f"{path} has no commands"
    for command, expected in blocks:
        assert shell.run(command).text() == "\n".join(expected).strip("\n"), command
