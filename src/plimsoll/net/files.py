"""Answers that are files, whole or in part (RFC 9110, section 14): one range a request, as our downloads ask."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from plimsoll.net.http import FileBody, Request, Response, problem

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


def byte_range(header: str | None, size: int) -> tuple[int, int] | None:
    """Start and end (excluded) of what is asked for, or None for the whole: also where the header asks for several.

    Raises ValueError where nothing of the file lies in the range.
    """
    match = None if header is None else _RANGE.fullmatch(header.strip())
    if match is None or not (match[1] or match[2]):
        return None
    if not match[1]:
        start, end = max(0, size - int(match[2])), size
    else:
        start, end = int(match[1]), min(size, int(match[2]) + 1) if match[2] else size
    if start >= end:
        raise ValueError(f"no byte of {size} lies in {header}")
    return start, end


def span(request: Request, size: int) -> tuple[int, int, Response]:
    """What of a file with that many bytes is wanted, and the answer's head for it; the body is still to be put in."""
    try:
        part = byte_range(request.headers.get("range"), size)
    except ValueError as error:
        refused = problem(416, str(error))
        refused.headers["content-range"] = f"bytes */{size}"
        return 0, 0, refused
    answer = Response(content_type="application/octet-stream", headers={"accept-ranges": "bytes"})
    if part is None:
        return 0, size, answer
    answer.status = 206
    answer.headers["content-range"] = f"bytes {part[0]}-{part[1] - 1}/{size}"
    return *part, answer


def file_answer(request: Request, path: Path, finished: Callable[[], None] | None = None) -> Response:
    """The file, or the part of it that is asked for. `finished` is called once it is sent, or cannot be."""
    try:
        size = path.stat().st_size
    except OSError:
        return problem(404, "this file is not here any more; ask again or ask another source")
    start, end, answer = span(request, size)
    if answer.status != 416:
        answer.file = FileBody(path, start, end - start)
        answer.finished = finished
    return answer
