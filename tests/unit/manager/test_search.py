"""Which searches fit, and which do not. That memory and databases answer alike is a contract of the store."""

from __future__ import annotations

from typing import Any

import pytest

from plimsoll.manager import search
from plimsoll.manager.ports import BadInput
from plimsoll.manager.search import Compare, Field, IsNull, Kind, Within

FIELDS = {
    "name": Field(Kind.STRING),
    "size": Field(Kind.NUMERIC),
    "level": Field(Kind.CHOICE, ("low", "high")),
    "version": Field(Kind.VERSION),
    "on": Field(Kind.BOOLEAN),
    "seen": Field(Kind.DATE),
}


@pytest.mark.parametrize(
    ("criterion", "said"),
    [
        (Compare("nmae", Kind.STRING, "equal", "x"), "there is no field 'nmae'.*level, name"),
        (Compare("name", Kind.NUMERIC, "equal", 1), "test it by stringTest and stringValue"),
        (Compare("size", Kind.STRING, "equal", "x"), "test it by numericTest"),
        (Compare("on", Kind.STRING, "equal", "x"), "test it by booleanTest"),
        (Compare("seen", Kind.NUMERIC, "equal", 1), "firstDateValue and lastDateValue"),
        (Within("name", 1, 2), "stringTest"),
        (Compare("name", Kind.STRING, "less-than", "x"), "equal or not-equal"),
        (Compare("level", Kind.CHOICE, "equal", "middle"), "one of low, high"),
        (Compare("level", Kind.STRING, "equal", "middle"), "one of low, high"),
        (Compare("version", Kind.VERSION, "equal", "newest"), "unknown component version"),
        (Compare("name", Kind.STRING, "equal", "x" * 1001), "at most 1000 characters"),
        (Compare("name", Kind.STRING, "equal", "%" * 21, wildcards=True), "at most 20 times %"),
    ],
)
def test_a_criterion_that_does_not_fit_is_named(criterion: Any, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        search.check([criterion], FIELDS)


def test_a_program_may_mean_the_same_by_another_test() -> None:
    search.check([Compare("level", Kind.STRING, "equal", "low"), Compare("size", Kind.ID, "equal", 3)], FIELDS)
    with pytest.raises(BadInput, match="at most 50"):
        search.check([IsNull("name", True)] * 51, FIELDS)
