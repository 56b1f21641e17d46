"""`plimsoll doctor` on an agent's computer: why it does not come through, by trying it. Changes nothing."""

from __future__ import annotations

import shutil
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

from plimsoll.agent import probe
from plimsoll.agent.home import Home, HomeError
from plimsoll.agent.managers import parse_manager
from plimsoll.agent.session import SKEW_LIMIT
from plimsoll.fleet.diagnosis import Diagnosis, in_order

_DAY = 86400.0
#: A certificate renews itself when two thirds of its life are over: one that is nearer to its end does not.
_SOON = 14 * _DAY
#: What an agent needs to store events and take an upgrade (bytes).
_FULL = 64 << 20
_TIMEOUT = 5.0


def examine(folder: Path, now: float) -> list[Diagnosis]:
    """All that was found, what is worst first."""
    home = Home(folder)
    try:
        state = home.load_state()
    except HomeError as error:
        return [Diagnosis("home", "problem", str(error), "activate this computer: plimsoll agent activate")]
    seen = home.load_run_state()
    found = [*_way(home, state.managers), *_certificate(state.not_after, now), *_files(home)]
    if abs(seen.clock_skew) > SKEW_LIMIT:
        text = f"this computer's clock differs from the manager's by {abs(seen.clock_skew):.0f} s"
        found.append(Diagnosis("clock", "problem", text, "set the clock, and keep it by NTP"))
    elif seen.last_success:
        found.append(Diagnosis("clock", "good", "this computer's clock agrees with the manager's"))
    if home.locked_by() is not None:
        found.append(Diagnosis("agent", "good", "the agent runs"))
    else:
        found.append(Diagnosis("agent", "problem", "the agent does not run", "start it: plimsoll agent run"))
    for what, port in seen.listening.items():
        if not _reached("127.0.0.1", port):
            text = f"{what} should listen on {port}, and does not"
            found.append(Diagnosis("ports", "problem", text, "is the agent running? plimsoll agent status"))
    return in_order(found)


def _way(home: Home, managers: list[str]) -> Iterator[Diagnosis]:
    """One finding for one cause: what a closed port or an unknown name explains is not told again by the handshake."""
    told = set()
    for text in managers:
        host, port = parse_manager(text)
        try:
            socket.getaddrinfo(host, port)
        except OSError as error:
            said = f"the manager's name {host} does not resolve here: {error.strerror}"
            yield Diagnosis("name", "problem", said, "correct DNS or /etc/hosts, or activate with another name")
            told.add(f"{host}:{port}")
            continue
        if not _reached(host, port):
            said = f"{host}:{port} cannot be reached from here"
            yield Diagnosis("ports", "problem", said, "open that port on the way, or start the manager")
            told.add(f"{host}:{port}")
    asked = probe.look(home)
    if asked.reached and asked.status == _NO_SUCH_PATH:
        said = f"{asked.manager} answers, but is no port for heartbeats (4120): status {asked.status}"
        yield Diagnosis("ports", "problem", said, "is it the GUI's (4119)? Activate with the port for heartbeats")
    elif asked.reached:
        text = f"{asked.manager} answers by {asked.negotiated or 'TLS'}, with status {asked.status}"
        yield Diagnosis("manager", "good", text)
    elif asked.reason == probe.NO_MANAGER:
        yield Diagnosis("manager", "unknown", asked.message)
    elif asked.manager not in told:
        said = f"{asked.manager}: {asked.message.removeprefix(f'{asked.manager}: ')}"
        yield Diagnosis("manager", "problem", said, _REMEDIES.get(asked.reason, _OTHER))


#: What 4120 never says to the probe: there it is 405, or that the manager is busy.
_NO_SUCH_PATH = 404
_OTHER = "plimsoll doctor on the manager's computer says what is wrong there"
#: By the reasons of `net.client.LinkError`.
_REMEDIES = {
    "refused-by-floor": "this host's TLS is older than the manager's floor: upgrade its OpenSSL, or give it an"
    " exception on the manager",
    "certificate": "something else answers there (a proxy that ends TLS, another manager), or a clock is wrong",
    "certificate-ended": "is the clock right? If it is, the manager's certificate, or its CA's, was not renewed:"
    " plimsoll doctor on the manager's computer",
    "unreachable": "the port is open: a balancer that has no manager behind it or sends a PROXY header that the manager"
    " does not expect (trustedProxies=), a firewall, or another program",
    "timeout": "something on the way swallows it: a firewall, or a manager without load to spare",
    "protocol": "something else answers there: a proxy that ends TLS, or another program",
}


def _certificate(ends: float, now: float) -> Iterator[Diagnosis]:
    if not ends:
        return
    if ends <= now:
        remedy = "it comes back by its old key within 30 days of that; is the clock right?"
        yield Diagnosis("certificate", "problem", "this agent's certificate has expired", remedy)
    elif ends - now < _SOON:
        text = f"this agent's certificate expires in {(ends - now) / _DAY:.0f} days and was not renewed"
        yield Diagnosis("certificate", "warning", text, "it cannot reach its manager: see the other findings")
    else:
        yield Diagnosis("certificate", "good", f"its certificate is good for {(ends - now) / _DAY:.0f} days")


def _files(home: Home) -> Iterator[Diagnosis]:
    mode = stat.S_IMODE(home.key.stat().st_mode)
    if mode & 0o077:
        yield Diagnosis("modes", "problem", f"others may read {home.key}", f"chmod 600 {home.key}")
    else:
        yield Diagnosis("modes", "good", "its key is for its owner alone")
    free = shutil.disk_usage(home.path).free
    text = f"{free / (1 << 20):.0f} MiB are free where {home.path} is"
    if free < _FULL:
        yield Diagnosis("disk", "problem", text, "make room: policies and events cannot be stored")
    else:
        yield Diagnosis("disk", "good", text)


def _reached(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), _TIMEOUT).close()
    except OSError:
        return False
    return True
