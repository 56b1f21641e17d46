"""Who is ready for the next phase of a CA's rotation, and who is in the way."""

from __future__ import annotations

import pytest

from plimsoll.fleet.ca_rotation import UNDERSTOOD_FROM, Fact, Goal, Stand, Verdict, in_the_way, judge
from plimsoll.messages import AUTHORITIES_FROM

BOTH = "aa,bb"
ANNOUNCED = Goal(trusts=BOTH)
SWITCHED = Goal(shown="bb")

READY = Fact(True, 4, BOTH, "aa")
AWAY_AND_READY = Fact(False, 4, BOTH, "aa")
NOT_YET = Fact(True, 4, "aa", "aa")
UNHEARD = Fact(True, 0, "", "")
AWAY = Fact(False, 4, "aa", "aa")
OLD = Fact(True, 3, "", "aa")
RENEWED = Fact(True, 4, BOTH, "bb")


def test_agents_understand_from_the_number_that_the_messages_name() -> None:
    assert UNDERSTOOD_FROM == AUTHORITIES_FROM


@pytest.mark.parametrize(
    ("goal", "fact", "stand"),
    [
        (ANNOUNCED, READY, Stand.READY),
        # What it acknowledged is on its disk, wherever it is.
        (ANNOUNCED, AWAY_AND_READY, Stand.READY),
        (ANNOUNCED, NOT_YET, Stand.TOLD),
        (ANNOUNCED, UNHEARD, Stand.TOLD),
        (ANNOUNCED, AWAY, Stand.OFFLINE),
        (ANNOUNCED, OLD, Stand.TOO_OLD),
        # More than both is not what was announced: a former rotation's leftovers.
        (ANNOUNCED, Fact(True, 4, "aa,bb,cc", "aa"), Stand.TOLD),
        (SWITCHED, RENEWED, Stand.READY),
        (SWITCHED, READY, Stand.TOLD),
        (SWITCHED, AWAY_AND_READY, Stand.OFFLINE),
        # It can renew all the same.
        (SWITCHED, OLD, Stand.TOLD),
        (SWITCHED, Fact(True, 4, BOTH, ""), Stand.TOLD),
    ],
)
def test_how_far_a_computer_is(goal: Goal, fact: Fact, stand: Stand) -> None:
    assert goal.stand(fact) is stand


def test_what_comes_next() -> None:
    assert judge(ANNOUNCED, {}).verdict is Verdict.READY
    assert judge(ANNOUNCED, {READY: 5, AWAY_AND_READY: 1}).verdict is Verdict.READY
    assert judge(ANNOUNCED, {READY: 5, AWAY: 1}).verdict is Verdict.LEAVING
    assert judge(ANNOUNCED, {READY: 5, OLD: 1}).verdict is Verdict.LEAVING
    waits = judge(ANNOUNCED, {READY: 5, AWAY: 1, NOT_YET: 2, UNHEARD: 1})
    assert (waits.verdict, waits.total, waits.behind) == (Verdict.WAIT, 9, 4)
    assert waits.counts == {Stand.READY: 5, Stand.OFFLINE: 1, Stand.TOLD: 3}


def test_who_is_in_the_way_is_named_with_the_reason() -> None:
    said = in_the_way(ANNOUNCED, [("a", NOT_YET), ("b", AWAY), ("c", OLD), ("d", READY)])
    assert said == ("a have not answered yet; b are offline; c run an agent that is too old to be told (upgrade it)")
