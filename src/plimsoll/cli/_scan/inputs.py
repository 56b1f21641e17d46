"""What `plimsoll scan` is to look at: targets, from wherever they come."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from plimsoll.cli._scan import USAGE, StopError
from plimsoll.scan.targets import OPENING_OF_PORT, Source, TargetError, TargetList

if TYPE_CHECKING:
    from plimsoll.cli._client import Client
    from plimsoll.cli._session import Session
    from plimsoll.scan.resume import Journal


def journal(given: argparse.Namespace, stack: ExitStack) -> Journal | None:
    """Where it is noted what is done, if anywhere."""
    if given.resume is None:
        return None
    from plimsoll.scan.resume import Journal, JournalError

    try:
        return stack.enter_context(Journal(Path(given.resume)))
    except JournalError as error:
        raise StopError(str(error), USAGE) from error


def targets(
    given: argparse.Namespace, stack: ExitStack, done: Journal | None, session: Session | None = None
) -> TargetList:
    """All targets, checked before the first connection."""
    words = [word for word in given.targets if word != "-"]
    sources: list[Source] = [("", lambda: words)]
    if "-" in given.targets:
        sources.append(("standard input", _spooled(stack)))
    sources += [(path, _lines_of(path)) for path in given.file]
    if given.fleet:
        found = _of_fleet(given, session)
        sources.append(("the fleet", lambda: found))
    if len(sources) == 1 and not words:
        raise StopError("say what to scan, e.g. plimsoll scan example.org:443; see --help", USAGE)
    opening = None if given.opening is None else ("" if given.opening == "none" else given.opening)
    if opening:
        _check_opening(opening)
    try:
        return TargetList(sources, server_name=given.name, opening=opening, skip=None if done is None else done.done)
    except TargetError as error:
        raise StopError(f"{error}; nothing was scanned", USAGE) from error
    except (OSError, UnicodeDecodeError) as error:
        raise StopError(f"{error}; nothing was scanned", USAGE) from error


def words_of_all(given: argparse.Namespace, stack: ExitStack) -> list[str]:
    """Every target as it was written, for somebody else to understand."""
    from plimsoll.scan.target_words import words_of

    lines: list[str] = [word for word in given.targets if word != "-"]
    try:
        if "-" in given.targets:
            lines += _spooled(stack)()
        for path in given.file:
            lines += _lines_of(path)()
    except (OSError, UnicodeDecodeError) as error:
        raise StopError(f"{error}; nothing was scanned", USAGE) from error
    found = [word for line in lines for word in words_of(line)]
    if not found and not given.fleet:
        raise StopError("say what to scan, e.g. plimsoll scan example.org:443; see --help", USAGE)
    return found


def client_of(given: argparse.Namespace, session: Session | None) -> Client:
    """The way to the manager. Raises CommandError."""
    from plimsoll.cli._client import connect

    home = Path(given.home) if given.home is not None else None
    return connect(home, os.environ) if session is None else session.client(home)


def _of_fleet(given: argparse.Namespace, session: Session | None) -> list[str]:
    from plimsoll.cli._errors import CommandError
    from plimsoll.cli._fleet.points import of_fleet

    home = Path(given.home) if given.home is not None else None
    try:
        client = client_of(given, session)
        if session is not None:
            points = of_fleet(client, home or session.home, session.env)
        else:
            points = of_fleet(client, home, os.environ)
    except CommandError as error:
        raise StopError(f"{error.message}; nothing was scanned", error.code) from error
    return [f"tls://{point.place}" for point in points if point.address]


def _check_opening(name: str) -> None:
    known = sorted(set(OPENING_OF_PORT.values()))
    if name not in known:
        raise StopError(f"the opening {name!r} is not known; known are none, {', '.join(known)}", USAGE)


def _lines_of(path: str) -> Callable[[], Iterable[str]]:
    def lines() -> Iterable[str]:
        with Path(path).open(encoding="utf-8") as file:
            yield from file

    return lines


def _spooled(stack: ExitStack) -> Callable[[], Iterable[str]]:
    """Standard input, kept so that it can be read twice: in memory while it is short."""
    import tempfile

    spool = stack.enter_context(tempfile.SpooledTemporaryFile(1 << 20, mode="w+", encoding="utf-8"))  # noqa: SIM115
    for line in sys.stdin:
        spool.write(line)

    def lines() -> Iterable[str]:
        spool.seek(0)
        return spool

    return lines
