"""What needs a person, from facts alone: the order, and a sentence for each."""

from __future__ import annotations

from dataclasses import replace

from plimsoll.manager.services.floor_views import Drift, PointView
from plimsoll.manager.services.needs import Standing, needs
from plimsoll.manager.services.overview_views import Expiry, RelayGlance
from plimsoll.tls.floors import Point
from plimsoll.tls.versions import Version

NOW = 1_790_000_000.0
DAY = 86400.0
FLOORS = (
    PointView(Point.HEARTBEAT, (4120,), Version.TLS1_2),
    PointView(Point.RELAY, (4122,), Version.TLS1_2, policies_pending=1),
    PointView(Point.AGENT, (4118,), Version.TLS1_2),
)
QUIET = Standing(
    NOW, (FLOORS[0], FLOORS[2]), None, {}, {}, 0, (), (), None, None, None, (), (), 0, 0, 0, ()
)  # fmt: skip


def test_nothing_needs_nobody() -> None:
    assert needs(QUIET) == ()


def test_who_is_cut_off_comes_before_what_will_end_and_that_before_the_rest() -> None:
    found = needs(
        replace(
            QUIET,
            floors=(replace(FLOORS[0], floor=Version.TLS1_0), *FLOORS[1:]),
            drift=Drift("TLSv1", None, Version.TLS1_0, "the file has another line"),
            serves={Point.HEARTBEAT: [Version.TLS1_2, Version.TLS1_3]},
            problems=2000,
            problem_names=["a", "b", "c", "d", "e", "f"],
            relays=(RelayGlance(1, "relay-1", Version.TLS1_2, Version.TLS1_0, True, "shows TLSv1"),),
            expiring=(Expiry("The certificate of the CA", "ca", NOW + 9 * DAY), Expiry("Another", "certificate", NOW)),
            approvals=1,
            offline=2,
            targets=("pager",),
        )
    )
    assert [(one.level, one.kind) for one in found] == [
        ("bad", "refused"),
        ("bad", "drift"),
        ("bad", "relays"),
        ("bad", "certificate"),
        ("warm", "served"),
        ("warm", "relays"),
        ("warm", "ca"),
        ("warm", "approvals"),
        ("warm", "notifications"),
        ("soft", "offline"),
        ("soft", "raise"),
    ]
    said = {(one.level, one.kind): one.said for one in found}
    assert said["bad", "refused"] == (
        "2\u202f000 computers cannot talk to the manager: a, b, c, d, e and 1\u202f995 more"
    )
    assert said["warm", "served"].startswith("Port 4120 (heartbeat) admits TLSv1.0, TLSv1.1, but")
    assert said["warm", "relays"].startswith("1 relay waits for Send Policy and holds another floor")
    assert said["warm", "ca"] == "The certificate of the CA expires in 9 days"
    assert said["bad", "certificate"] == "Another has expired"
    assert all(one.todo.endswith(".") and not one.said.endswith(".") for one in found)


def test_who_is_below_the_floor_is_said_where_not_all_of_them_are_named_already() -> None:
    below = {"agents before 10.0": 2}
    (said,) = needs(replace(QUIET, below=below))
    assert said.said == "2 agents before 10.0 are below the floor, and refused when they call"
    assert said.about == "group=agents+before+10.0&state=refused"
    assert [one.kind for one in needs(replace(QUIET, below=below, problems=2, problem_names=["a", "b"]))] == ["refused"]
