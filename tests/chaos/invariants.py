"""What must be so after every fault, whatever it was. The list stands in docs/chaos.md too."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import takewhile

from tests.chaos.fleet import ChaosAgent
from tests.chaos.site import FLOOR, Site
from tests.chaos.witnesses import Ledger, Prober
from tests.support.process import Service, eventually

from plimsoll.testing.pipe import CERTIFICATE, ENDED, REFUSED
from plimsoll.tls.versions import Version

OFFLINE = 730
#: A heartbeat that fails is tried again before an interval is over: who is back with the second is back in time.
ATTEMPTS = 2


@dataclass(frozen=True, slots=True)
class Watch:
    """What looks on during a fault. `began` is by the steady clock; `told` and `said` are what came before it."""

    ledger: Ledger
    prober: Prober
    began: float
    told: int
    said: dict[Service, int]


@contextlib.contextmanager
def watched(site: Site) -> Iterator[Watch]:
    """The fault goes into the `with`, and what ends it. Then the site must be well, and everything is checked."""
    site.scenarios += 1
    with Ledger(site.managers, f"chaos-{site.scenarios}") as ledger, Prober(site.ports) as prober:
        ledger.until_kept(0.0, 1)
        told = site.rows("select coalesce(max(id), 0) from events")[0][0]
        said = {one.process: len(one.process.errors) for one in site.managers if one.process is not None}
        watch = Watch(ledger, prober, time.monotonic(), told, said)
        yield watch
        site.until_well()
        over = time.monotonic()
        site.fleet.until_back(over)
    check(site, watch, over)


def check(site: Site, watch: Watch, over: float) -> None:
    """Every invariant; `over` is when the fault was over, by the steady clock."""
    nothing_acknowledged_is_lost(site, watch)
    no_floor_is_below_what_was_asked(site, watch)
    no_compliant_agent_was_refused(site)
    for one in site.fleet.compliant:
        all_are_back_within_two_intervals(one, over)
    nobody_is_told_offline(site, watch)
    the_managers_are_whole(site, watch)


def nothing_acknowledged_is_lost(site: Site, watch: Watch) -> None:
    acked = {command for one in site.fleet.compliant for command in one.acked}
    told = {text for one in site.fleet.compliant for text in one.stored_texts()}
    done = {command for (command,) in site.rows("select id from commands where done is not null")}
    assert acked <= done, "acknowledgements that the agents were told are stored"
    texts = (text for (text,) in site.rows("select description from events where number = 5000"))
    stored = Counter(text[text.index("event ") :] for text in texts)
    assert told <= set(stored), "events that the agents were told are stored"
    assert [text for text in told if stored[text] != 1] == [], "and once each"
    for one in site.managers:
        groups = {group["name"] for group in one.get("/api/computergroups")["computerGroups"]}
        assert watch.ledger.names <= groups, f"changes that were answered with 200, at {one.home.name}"
    for agent in site.fleet.compliant:
        eventually(partial(_owes_nothing, agent), f"{agent.spec.name} is rid of what it has to say")


def _owes_nothing(agent: ChaosAgent) -> bool:
    return not agent.owes


def _was_refused(old: ChaosAgent) -> bool:
    return old.attempts[-1].reason == REFUSED


def no_floor_is_below_what_was_asked(site: Site, watch: Watch) -> None:
    assert not watch.prober.let_in
    for old in site.fleet.old:
        last = [attempt for attempt in old.attempts if attempt.began > watch.began]
        assert all(attempt.reason for attempt in last), f"{old.spec.name} came in"
        eventually(partial(_was_refused, old), f"{old.spec.name} is refused as ever")
    watch.prober.until_refused()
    for one in site.managers:
        assert all(Version(floor) >= Version(FLOOR) for floor in one.floors().values())


def no_compliant_agent_was_refused(site: Site) -> None:
    for one in site.fleet.compliant:
        bad = [attempt for attempt in one.attempts if attempt.reason in (REFUSED, CERTIFICATE)]
        assert not bad, f"{one.spec.name}: {bad}"
        # Who finds that its CA has ended takes the renewed certificate at once, and is not told so again.
        ended = [attempt for attempt in one.attempts if attempt.reason == ENDED]
        assert len(ended) == one.followed, f"{one.spec.name}: {ended}"


def all_are_back_within_two_intervals(one: ChaosAgent, over: float) -> None:
    since = [attempt for attempt in list(one.attempts) if attempt.began > over]
    failed = list(takewhile(lambda attempt: attempt.reason, since))
    assert len(failed) < ATTEMPTS, f"{one.spec.name}: {failed}"


def nobody_is_told_offline(site: Site, watch: Watch) -> None:
    told = site.rows(f"select target, time from events where number = {OFFLINE} and id > {watch.told}")
    for target, when in told:
        peer = next((agent for agent in site.fleet.compliant if agent.spec.name == target), None)
        if peer is not None:
            heard = [done.ended for done in list(peer.attempts) if not done.reason]
            raise AssertionError(f"{target} is told offline at {when}, it came through at {heard[-30:]}")
    for one in site.managers:
        computers = one.computers()
        for name in site.fleet.names():
            assert computers[name]["computerStatus"]["agentStatusMessages"][0] == "Managed (Online)", computers[name]


def the_managers_are_whole(site: Site, watch: Watch) -> None:
    """The audit trail's chain holds, and nothing in their logs is an error that nobody thought of."""
    for one in site.managers:
        chain = one.get("/api/audit/verify")
        assert chain["ok"], chain
        assert one.process is not None
        said = "\n".join(one.process.errors[watch.said.get(one.process, 0) :])
        assert "Traceback" not in said, f"{one.home.name}: {said[max(0, said.index('Traceback') - 1000) :][:6000]}"
