"""A judgement on a screen: the part that lists who would be cut off, whatever the screen around it is for.

Judging a large fleet takes most of a second. A screen waits for a moment, and where that was too short it is shown with
a note of progress in the place of the names, which htmx fetches from the same address.
"""

from __future__ import annotations

import hashlib
import urllib.parse
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TooLate
from dataclasses import dataclass
from typing import Annotated, TypeVar

from fastapi import Query

from plimsoll.fleet.findings import Finding, Preflight
from plimsoll.manager.api.backend import Backend
from plimsoll.manager.ports import Conflict, Principal, Unavailable
from plimsoll.manager.services.judged import Question

T = TypeVar("T")

#: Names on one page, and kinds of findings above them.
ROWS = 50
GROUPS = 12
#: Seconds that a screen waits for a judgement before it is shown without, and that its part then waits at most.
MOMENT, PATIENCE = 0.06, 120.0
LISTS = ("blockers", "affected", "noted")


@dataclass(frozen=True, slots=True)
class Look:
    """Which of the names are shown: a list, words, a kind, a page. `kept` is a judgement that was made before."""

    show: str = ""
    q: str = ""
    kind: str = ""
    page: int = 1
    kept: str = ""
    wait: bool = False


def look(
    show: Annotated[str, Query(max_length=20)] = "",
    q: Annotated[str, Query(max_length=200)] = "",
    kind: Annotated[str, Query(max_length=20)] = "",
    page: Annotated[int, Query(ge=1, le=100_000)] = 1,
    kept: Annotated[str, Query(max_length=40)] = "",
    wait: bool = False,
) -> Look:
    return Look(show if show in LISTS else "", q, kind, page, kept, wait)


@dataclass(frozen=True, slots=True)
class Kind:
    """Findings that are alike: the same kind of part, for the same reason, with the same remedy."""

    id: str
    kind: str
    reason: str
    remedy: str
    count: int


@dataclass(frozen=True, slots=True)
class Shown:
    """What the part is made of. `found` is None while it is judged; `here` gives the address with other values."""

    id: str
    at: float
    question: Question
    found: Preflight | None
    show: str
    q: str
    kind: str
    page: int
    pages: int
    kinds: tuple[Kind, ...]
    more_kinds: int
    rows: tuple[Finding, ...]
    fitting: int
    path: str
    fields: tuple[tuple[str, str], ...]
    here: Callable[..., str]


def waited(answer: Future[T], wait: bool) -> T | None:
    """What was asked for, or None where it takes longer than a screen may. Raises what asking raised."""
    try:
        return answer.result(PATIENCE if wait else MOMENT)
    except TooLate:
        if wait:
            raise Unavailable("the judgement takes too long; try again") from None
        return None


def address(path: str, fields: Sequence[tuple[str, str]], over: dict[str, object] | None = None) -> str:
    """The path with these values; what is empty, and a first page, is left out."""
    values = [*fields, *(over or {}).items()]
    query = [(name, str(value)) for name, value in values if value not in ("", None) and (name, value) != ("page", 1)]
    return f"{path}?{urllib.parse.urlencode(query)}" if query else path


def shown(
    back: Backend, asks: Principal, question: Question, wanted: Look, path: str, fields: Sequence[tuple[str, str]]
) -> Shown:
    """The part, for a screen at `path` whose own values are `fields`. Raises BadInput for a question without sense."""
    judged = back.services.judged.ask(asks, question, wanted.kept)
    found = waited(judged.answer, wanted.wait)
    show = wanted.show
    kinds: Sequence[Kind] = ()
    fitting: Sequence[Finding] = ()
    if found is not None:
        show = show or next((name for name in LISTS if _list(found, name)), LISTS[0])
        kinds = _kinds(_list(found, show))
        fitting = _fitting(_list(found, show), wanted.q, wanted.kind)
    pages = max(1, -(-len(fitting) // ROWS))
    page = min(wanted.page, pages)
    known = {"kept": judged.id, "show": show, "q": wanted.q, "kind": wanted.kind}

    def here(**over: object) -> str:
        return address(path, fields, known | over)

    return Shown(
        id=judged.id, at=judged.at, question=question, found=found, show=show, q=wanted.q, kind=wanted.kind, page=page,
        pages=pages, kinds=tuple(kinds[:GROUPS]), more_kinds=max(0, len(kinds) - GROUPS),
        rows=tuple(fitting[(page - 1) * ROWS : page * ROWS]), fitting=len(fitting), path=path, fields=tuple(fields),
        here=here,
    )  # fmt: skip


def seen(back: Backend, asks: Principal, kept: Iterable[str]) -> frozenset[str]:
    """The ids of all that stood in the judgements of a page: what its form forces reaches nobody else. None were made
    where nobody could be cut off. Raises Conflict for one that is not kept any more.
    """
    found: set[str] = set()
    for one in filter(None, kept):
        names = back.services.judged.names(asks, one)
        if names is None:
            raise Conflict("the names that were shown are too old by now; nothing was changed. Look again")
        found |= names
    return frozenset(found)


def _list(found: Preflight, name: str) -> tuple[Finding, ...]:
    return {"blockers": found.blockers, "affected": found.affected, "noted": found.noted}[name]


def _mark(finding: Finding) -> tuple[str, str, str]:
    return finding.kind, finding.reason, finding.remedy


def _kind_id(mark: tuple[str, str, str]) -> str:
    return hashlib.sha256("\n".join(mark).encode()).hexdigest()[:10]


def _kinds(findings: Sequence[Finding]) -> list[Kind]:
    """The most frequent first."""
    return [Kind(_kind_id(mark), *mark, count) for mark, count in Counter(map(_mark, findings)).most_common()]


def _fitting(findings: Sequence[Finding], words: str, kind: str) -> Sequence[Finding]:
    asked = words.casefold().split()
    if not asked and not kind:
        return findings
    marks = {mark for mark in {_mark(finding) for finding in findings} if not kind or _kind_id(mark) == kind}
    return [
        finding
        for finding in findings
        if _mark(finding) in marks and (not asked or all(word in _text(finding) for word in asked))
    ]


def _text(finding: Finding) -> str:
    return f"{finding.who} {finding.kind} {finding.version} {finding.address} {finding.reason}".casefold()
