"""A scan in a process of its own: one question on standard input, a line for each endpoint on standard output.

For a program that has better to do than to scan: the lines are those of the JSON report, judged already. It ends with
whoever asked: at the end of standard input, also where that was killed.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import Final

import msgspec

from plimsoll.scan.certificates import TrustError, TrustStore
from plimsoll.scan.engine import scan_many
from plimsoll.scan.options import FULL, Options
from plimsoll.scan.profiles import ProfileError, ProfileVerdict, judge, load
from plimsoll.scan.report import EndpointReport, Target
from plimsoll.scan.reports.json_report import line_of

#: What was asked comes first, so the scan takes what is left: a heartbeat is never to wait for it.
_NICE: Final = 10
_MOST: Final = 64 << 20


class Group(msgspec.Struct):
    """Endpoints that are judged by the same roots: a PEM file's, or the system's where it is empty."""

    targets: list[Target]
    trust: str = ""


class Question(msgspec.Struct):
    """What to scan, how, and the profiles that each report is judged by. `timeout` is in seconds."""

    groups: list[Group]
    profiles: list[str]
    mode: str = FULL
    timeout: float = 5.0


def question_line(question: Question) -> bytes:
    """How it is written to standard input, which then stays open."""
    return msgspec.json.encode(question) + b"\n"


def main() -> int:
    """Exit code 0 where every endpoint has its line, 1 where the question cannot be answered (standard error says)."""
    try:
        question = msgspec.json.decode(_first_line(), type=Question)
        profiles = [load(name) for name in question.profiles]
        stores = [TrustStore.of_file(Path(one.trust)) if one.trust else None for one in question.groups]
    except (msgspec.DecodeError, ProfileError, TrustError) as error:
        sys.stderr.write(f"the scan was not begun: {error}\n")
        return 1
    threading.Thread(target=_end_with_the_asker, name="asker", daemon=True).start()
    os.nice(_NICE)
    out = sys.stdout.buffer

    def verdicts(report: EndpointReport) -> tuple[ProfileVerdict, ...]:
        return tuple(judge(report, profile) for profile in profiles)

    def done(report: EndpointReport) -> None:
        out.write(line_of(report, verdicts) + b"\n")
        out.flush()

    whole = question.mode == FULL
    for group, trust in zip(question.groups, stores, strict=True):
        options = Options(mode=question.mode, timeout=question.timeout, features=whole, groups=whole, trust=trust)
        scan_many(group.targets, options, done, total=len(group.targets))
    return 0


def _first_line() -> bytes:
    """By the descriptor, so that no buffer's lock is held at the end by the thread that waits there."""
    found = bytearray()
    while not found.endswith(b"\n") and len(found) < _MOST:
        piece = os.read(0, 1 << 16)
        if not piece:
            break
        found += piece
    return bytes(found)


def _end_with_the_asker() -> None:
    while os.read(0, 1 << 10):
        pass
    os._exit(1)


if __name__ == "__main__":
    raise SystemExit(main())
