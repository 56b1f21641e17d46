"""What is broken. Each returns once the fault is over; how long it lasts is said by what came about, not by a time."""

from __future__ import annotations

import contextlib
import os
import random
import resource
import signal
import socket
import threading
import time
from collections.abc import Iterator
from functools import partial

from tests.chaos import certificates
from tests.chaos.fleet import ChaosAgent
from tests.chaos.invariants import Watch
from tests.chaos.network import dropping
from tests.chaos.shims import Shim
from tests.chaos.site import SECOND_WAY, Site
from tests.support.balancer import SOURCE
from tests.support.disk import Disk
from tests.support.manager import HOST, Manager
from tests.support.process import eventually
from tests.support.raw import hello_bytes

from plimsoll.manager.services.ca_end import RENEWED
from plimsoll.manager.services.events import CA_RENEWED
from plimsoll.tls.versions import Version

#: Where strangers come from.
_STRANGER = "127.99"
#: Where the agents come from.
AGENTS = "127.88.0.0/16"
#: What a manager's log says when it cannot know the current floors.
_UNSURE = "could not learn for"
#: What it says of a step of its clock.
_MOVED = "the clock moved by"


def kill_in_mid_change(site: Site, watch: Watch) -> None:
    """SIGKILL to the manager that carries a staged change on, while Send Policy is on its way to every agent."""
    doing = site.holder("changes")
    left = site.other(doing)
    options = {"to": "TLSv1.3", "points": ["gui"], "soak": 3, "acceptAffected": True}
    change = left.post("/api/tls/changes", options)["id"]
    left.send_policy(*site.fleet.names())
    eventually(lambda: left.get(f"/api/tls/changes/{change}")["stage"] != "preflight", "the change is on its way")
    doing.kill()
    site.fleet.until_tried(time.monotonic())

    def ended() -> dict[str, object] | None:
        found: dict[str, object] = left.get(f"/api/tls/changes/{change}")
        return found if found["state"] not in ("running", "scheduled") else None

    done = eventually(ended, "the other finishes the change", 180)
    assert done["state"] == "done", done
    doing.start()
    assert doing.floors()["gui"] == left.floors()["gui"] == "TLSv1.3"


def kill(site: Site, watch: Watch) -> None:
    """SIGKILL to the only manager, which is started again."""
    (one,) = site.managers
    one.send_policy(*site.fleet.names())
    one.kill()
    site.fleet.until_tried(time.monotonic())
    one.start()


def database_away(site: Site, watch: Watch, seconds: float = 0.0) -> None:
    """The server crashes, and stays away until each agent has tried twice, and for so many seconds."""
    assert site.server is not None
    end = time.monotonic() + seconds
    site.server.stop(signal.SIGQUIT)
    site.fleet.until_tried(time.monotonic())
    eventually(lambda: time.monotonic() > end, "the time is over", seconds + 60)
    site.server.start()


def node_without_database(site: Site, watch: Watch) -> None:
    """No packet passes between the second manager and the database, until that manager says that it cannot know."""
    cut = site.managers[1].process
    assert site.server is not None
    assert cut is not None
    where = f"tcp {{}} {site.server.port} ip {{}} {SECOND_WAY}"
    said = cut.error_text.count(_UNSURE)
    with dropping(where.format("dport", "daddr"), where.format("sport", "saddr")) as rules:
        began = time.monotonic()
        eventually(partial(_misses, site.managers[1], "store"), "it tells the balancer to send nobody there")
        eventually(lambda: cut.error_text.count(_UNSURE) > said, "it says that it cannot know", 180)
        watch.ledger.until_kept(began, 3, site.managers[0].home.name)
        site.fleet.until_tried(began)
        assert rules.count()


def _misses(one: Manager, what: str) -> bool:
    answer = one.client.get("/ready")
    return answer.status_code == 503 and what in answer.json()["missing"]


def node_without_agents(site: Site, watch: Watch) -> None:
    """No packet passes between the balancer and the second manager. Lasts until each agent is at home at the first."""
    port = site.managers[1].heartbeat_port
    with dropping(f"ip saddr {SOURCE} tcp dport {port}", f"ip daddr {SOURCE} tcp sport {port}") as rules:
        began = time.monotonic()
        site.fleet.until_heard(began, 3)
        assert rules.count()


def packet_loss(site: Site, watch: Watch, packets: int) -> None:
    """One packet of a hundred between the agents and the balancer is lost, until so many are."""
    with dropping(
        f"ip saddr {AGENTS} numgen random mod 100 < 1", f"ip daddr {AGENTS} numgen random mod 100 < 1"
    ) as rules:
        began = time.monotonic()
        eventually(lambda: rules.count() >= packets, "packets are lost", 600)
        site.fleet.until_heard(began, 3)


def slow(disk: Shim, site: Site, watch: Watch, milliseconds: int, times: int) -> None:
    """Each fsync takes so much longer, until each agent came through and changes were acknowledged so often."""
    disk.set(milliseconds)
    try:
        began = time.monotonic()
        site.managers[0].send_policy(*site.fleet.names())
        site.fleet.until_heard(began, times)
        watch.ledger.until_kept(began, times)
    finally:
        disk.set(0)


def half_open(site: Site, watch: Watch, count: int) -> None:
    """So many connections to the heartbeat ports that say nothing, or half a hello; agents come through meanwhile."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    half, opened = hello_bytes(Version.TLS1_2)[:100], 0
    with contextlib.ExitStack() as stack:
        for number in range(count):
            one = stack.enter_context(_stranger(number, site.managers[number % len(site.managers)].heartbeat_port))
            opened += one is not None
            if one is not None and number % 2:
                with contextlib.suppress(OSError):
                    one.sendall(half)
        assert opened == count
        site.fleet.until_heard(time.monotonic())


@contextlib.contextmanager
def _stranger(number: int, port: int) -> Iterator[socket.socket | None]:
    """A connection from an address of its own. None where the manager does not take it."""
    try:
        one = socket.create_connection(
            (HOST, port), 30, source_address=(f"{_STRANGER}.{number // 200 % 200}.{1 + number % 200}", 0)
        )
    except OSError:
        yield None
        return
    with one:
        yield one


def hello_flood(site: Site, watch: Watch, count: int) -> None:
    """So many connections that say garbage, half at each port, eight at a time."""
    ports = [port for name, port in site.ports.items() if name != "balancer"]
    threads = [
        threading.Thread(target=_flood, args=(ports, random.Random(seed), count // 8), name=f"flood-{seed}")
        for seed in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    site.fleet.until_heard(time.monotonic())


def _flood(ports: list[int], chance: random.Random, count: int) -> None:
    good = hello_bytes(Version.TLS1_3)
    for number in range(count):
        with _stranger(chance.randrange(40_000), chance.choice(ports)) as one:
            if one is None:
                continue
            one.settimeout(2)
            with contextlib.suppress(OSError):
                one.sendall(_garbage(good, chance, number))
                one.shutdown(socket.SHUT_WR)
                while one.recv(4096):
                    pass


def _garbage(good: bytes, chance: random.Random, number: int) -> bytes:
    if number % 4 == 0:
        return chance.randbytes(chance.randrange(1, 3000))
    if number % 4 == 1:
        return good[: chance.randrange(len(good))]
    if number % 4 == 2:
        return b"\x16\x03\x01\xff\xff\x01\x00\xff\xfb" + chance.randbytes(2000)
    flipped = bytearray(good)
    for _ in range(8):
        flipped[chance.randrange(5, len(flipped))] ^= 1 << chance.randrange(8)
    return bytes(flipped)


def pause(one: Manager, site: Site) -> None:
    """SIGSTOP until each agent has tried twice: a manager that is there, and does nothing."""
    assert one.process is not None
    os.kill(one.process.pid, signal.SIGSTOP)
    try:
        site.fleet.until_tried(time.monotonic())
    finally:
        os.kill(one.process.pid, signal.SIGCONT)


def full_disk(disk: Disk, process: int, site: Site, watch: Watch) -> None:
    """Not a byte is free where the store is, until each agent was told that its events are not kept."""
    began = time.monotonic()
    disk.fill(process)
    try:
        for one in site.fleet.compliant:
            eventually(partial(_not_kept, one, began), f"{one.spec.name} is told that nothing is kept", 180)
    finally:
        disk.free(process)


def _not_kept(one: ChaosAgent, since: float) -> bool:
    return any(attempt.began > since and attempt.reason == "http 503" for attempt in list(one.attempts))


def certificate_ended(site: Site, watch: Watch) -> None:
    """The manager was down while its own certificates came to their end."""
    (one,) = site.managers
    one.kill()
    certificates.remake(one.home, -48 * certificates.HOUR, -certificates.HOUR)
    one.start()


def certificate_ends(clock: Shim, site: Site, watch: Watch) -> None:
    """The own certificates end while the manager runs. Its clock begins half a day back, so that a day can pass."""
    (one,) = site.managers
    one.kill()
    certificates.remake(one.home, -20 * certificates.HOUR, 10 * certificates.HOUR)
    clock.set(-12 * certificates.HOUR)
    try:
        one.start()
        before = certificates.served(one.gui_port)
        site.fleet.until_heard(time.monotonic())
        assert certificates.served(one.gui_port) == before, "at the start they were fresh enough"
        clock.set(13 * certificates.HOUR)
        eventually(lambda: certificates.served(one.gui_port) != before, "new ones are served")
        site.fleet.until_heard(time.monotonic())
    finally:
        clock.set(0)
    site.fleet.until_heard(time.monotonic())


def ca_ended(site: Site, watch: Watch) -> None:
    """The manager was down while its CA came to its end, and its own certificates with it; agents trust what ended."""
    (one,) = site.managers
    one.kill()
    certificates.remake(one.home, -60 * certificates.DAY, -40 * certificates.DAY)
    ended = certificates.remake_ca(one.home, -3650 * certificates.DAY, -40 * certificates.DAY)
    before = {agent.spec.name: agent.followed for agent in site.fleet.compliant}
    site.fleet.trust(ended)
    site.fleet.until_tried(time.monotonic())
    one.start()
    site.fleet.until_heard(time.monotonic())
    _ca_is_renewed(site, watch, ended)
    renewed = (one.home / "ca" / "ca.pem").read_bytes()
    for agent in site.fleet.compliant:
        assert agent.followed == before[agent.spec.name] + 1, f"{agent.spec.name} could not verify without"
        assert agent.home.ca.read_bytes() == renewed


def ca_ends(clock: Shim, site: Site, watch: Watch) -> None:
    """The manager's clock passes the time at which a CA that ends soon is renewed. The agents' is not moved."""
    (one,) = site.managers
    one.kill()
    ending = certificates.remake_ca(one.home, -3500 * certificates.DAY, RENEWED + certificates.HOUR)
    followed = sum(agent.followed for agent in site.fleet.compliant)
    site.fleet.trust(ending)
    clock.set(-12 * certificates.HOUR)
    try:
        one.start()
        site.fleet.until_heard(time.monotonic())
        ca = one.home / "ca" / "ca.pem"
        assert ca.read_bytes() == ending, "at the start it was good for long enough"
        clock.set(13 * certificates.HOUR)
        eventually(lambda: ca.read_bytes() != ending, "its certificate is renewed", 180)
        site.fleet.until_heard(time.monotonic())
    finally:
        clock.set(0)
    site.fleet.until_heard(time.monotonic())
    _ca_is_renewed(site, watch, ending)
    assert sum(agent.followed for agent in site.fleet.compliant) == followed, "what they trust is good as it was"


def _ca_is_renewed(site: Site, watch: Watch, former: bytes) -> None:
    (one,) = site.managers
    certificates.has_followed(former, (one.home / "ca" / "ca.pem").read_bytes())
    ((told,),) = site.rows(f"select count(*) from events where number = {CA_RENEWED} and id > {watch.told}")
    assert told == 1, "that is told once"


def clock_jumps(clock: Shim, site: Site, watch: Watch) -> None:
    """The manager's clock goes an hour ahead, two hours back, and right again."""
    (one,) = site.managers
    said = one.process
    assert said is not None
    try:
        for count, seconds in enumerate((3600, -3600, 0), said.error_text.count(_MOVED) + 1):
            clock.set(seconds)
            eventually(partial(_says, one, count), "the manager says that its clock moved")
            site.fleet.until_heard(time.monotonic(), 3)
    finally:
        clock.set(0)


def _says(one: Manager, times: int) -> bool:
    return one.process is not None and one.process.error_text.count(_MOVED) >= times
