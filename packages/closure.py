"""Which of our own modules a program can ever load: what it imports, at once or later, and so on down."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from functools import cache

from tests.architecture.imports import imports, modules


def closure(starts: Iterable[str]) -> set[str]:
    """The modules of ours reached from these, and the packages that they lie in.

    A module is also reached where its name stands as a text, which is how a child process is started with ``-m``.
    """
    found: set[str] = set()
    waiting = list(starts)
    while waiting:
        name = waiting.pop()
        if name in found or name not in modules():
            continue
        found.add(name)
        waiting += [*_imported()[name], *re.findall(r'"(plimsoll(?:\.\w+)+)"', modules()[name].read_text("utf-8"))]
        parts = name.split(".")
        waiting += [".".join(parts[:count]) for count in range(1, len(parts))]
    return found


@cache
def _imported() -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for one in imports():
        if one.ours:
            found[one.importer].append(one.imported)
    return found
