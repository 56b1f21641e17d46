"""`plimsoll doctor` on a manager's computer: the most likely misconfigurations, each with what to do. Changes nothing.

What the manager itself knows is asked through its door; what is in the home and on this computer is looked at here.
"""

from __future__ import annotations

import ipaddress
import os
import shutil
import socket
import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from cryptography import x509

from plimsoll.fleet.diagnosis import Diagnosis, in_order
from plimsoll.manager import config, gui_certificate
from plimsoll.manager.ca import CA_WARNED
from plimsoll.manager.config import Configuration, ConfigurationError
from plimsoll.net.errors import NetError
from plimsoll.net.listen import listening_socket
from plimsoll.net.proxy import UNTRUSTED_HEADER

#: Asks the manager: a path of its REST. Raises where it does not answer.
Ask = Callable[[str], Any]

DAY, HOUR = 86400.0, 3600.0
#: A certificate that ends sooner is told: who made it by hand needs time.
SOON = 30 * DAY
#: Free space below which the store may stop, and below which it is told (bytes).
FULL, NEARLY = 256 << 20, 2 << 30
#: Seconds by which something stored may lie ahead of this clock.
SKEW = 120.0
#: So many computers at one address look like a balancer in front.
BEHIND = 5
_TIMEOUT = 3.0
_NAMED = 5
_ANYWHERE = ("", "0.0.0.0", "::")


def examine(home: Path, ask: Ask, now: float) -> list[Diagnosis]:
    """All that was found, what is worst first."""
    if not (home / config.FILE_NAME).exists():
        remedy = "name it by --home or PLIMSOLL_HOME, or an agent's by --agent-home; plimsoll manager init makes one"
        return [Diagnosis("home", "problem", f"there is no manager's home at {home}", remedy)]
    try:
        configuration = config.load(home / config.FILE_NAME)
    except ConfigurationError as error:
        remedy = "correct that line; a manager does not start on a guess"
        return [Diagnosis("configuration", "problem", error.message, remedy)]
    found: list[Diagnosis] = []
    for check in (_file, _home, _modes, _disk, _certificates, _name, _proxies):
        found += _safely(check.__name__.strip("_"), lambda check=check: check(home, configuration, now))  # type: ignore[misc]
    try:
        status = ask("/api/manager/status")
    except Exception as error:  # noqa: BLE001 - whatever keeps it from answering is what is told
        said = [Diagnosis("manager", "problem", f"the manager does not answer: {error}", _START)]
        # A home that cannot be written to is why, and is said already.
        return in_order([*found, *(said if all(one.check != "home" for one in found) else ())])
    found += _safely("ports", lambda: _ports(configuration, status))
    away = (status.get("database") or {}).get("problem")
    if away:
        # The one cause: whatever else is asked needs the store, and fails by it alone.
        return in_order([*found, *_database({"problem": away})])
    for name, work in (
        ("database", lambda: _database(ask("/api/manager/database"))),
        ("clock", lambda: _clock(ask("/api/events?limit=1"), now)),
        ("proxies", lambda: _balancers(ask("/api/tls/sightings?limit=200")["sightings"], now)),
        ("computers", lambda: _computers(ask("/api/computers")["computers"], configuration)),
    ):
        found += _safely(name, work)
    return in_order(found)


_START = "correct that, then start it: plimsoll manager run"


def _safely(check: str, work: Callable[[], Iterator[Diagnosis]]) -> list[Diagnosis]:
    try:
        return list(work())
    except Exception as error:  # noqa: BLE001 - one look that fails must not cost the others
        return [Diagnosis(check, "unknown", f"this could not be looked at: {type(error).__name__}: {error}")]


def _file(home: Path, configuration: Configuration, now: float) -> Iterator[Diagnosis]:
    if configuration.unknown:
        names = ", ".join(configuration.unknown)
        yield Diagnosis(
            "configuration", "warning", f"{config.FILE_NAME} has unknown keys: {names}", "are they misspelt?"
        )
    else:
        yield Diagnosis("configuration", "good", f"{config.FILE_NAME} can be read")


def _home(home: Path, configuration: Configuration, now: float) -> Iterator[Diagnosis]:
    """The kernel is asked, and not the modes: root may write anywhere, but on a file system that is read-only."""
    closed = next((place for place in (home, home / "run") if place.exists() and not os.access(place, os.W_OK)), None)
    if closed is not None:
        text = f"this user cannot write to {closed}: nothing can be stored there"
        yield Diagnosis("home", "problem", text, "is it another user's, or is its file system read-only?")


def _modes(home: Path, configuration: Configuration, now: float) -> Iterator[Diagnosis]:
    """Whatever holds a key or a password is for its owner alone, and the manager is that owner."""
    loose, foreign = [], []
    owner = home.stat().st_uid
    for folder, _, names in os.walk(home):
        for name in names:
            path = Path(folder) / name
            info = path.lstat()
            if not stat.S_ISREG(info.st_mode):
                continue
            if info.st_mode & 0o077 and _secret(path):
                loose.append(path)
            if info.st_uid != owner:
                foreign.append(path)
    if home.stat().st_mode & 0o022:
        yield Diagnosis("modes", "problem", f"others may write to {home}", f"chmod 700 {home}")
    if loose:
        files = " ".join(str(path) for path in loose[:_NAMED])
        yield Diagnosis("modes", "problem", f"others may read keys: {files}", f"chmod 600 {files}")
    if foreign:
        files = " ".join(str(path) for path in foreign[:_NAMED])
        text = f"{len(foreign)} files belong to somebody else than the home: {files}"
        yield Diagnosis("modes", "problem", text, f"chown -R --reference={home} {home}")
    if not loose and not foreign:
        yield Diagnosis("modes", "good", "keys are for their owner alone")


def _secret(path: Path) -> bool:
    if path.name in ("database.pass", "plimsoll.db") or path.suffix == ".key":
        return True
    if path.suffix != ".pem":
        return False
    with path.open("rb") as file:
        return b"PRIVATE KEY-----" in file.read(64 << 10)


def _disk(home: Path, configuration: Configuration, now: float) -> Iterator[Diagnosis]:
    free = shutil.disk_usage(home).free
    text = f"{free / (1 << 20):.0f} MiB are free where {home} is"
    if free < FULL:
        yield Diagnosis("disk", "problem", text, "make room: without it nothing is stored, and changes are refused")
    elif free < NEARLY:
        yield Diagnosis("disk", "warning", text, "make room, or delete software that no computer needs any more")
    else:
        yield Diagnosis("disk", "good", text)


def _certificates(home: Path, configuration: Configuration, now: float) -> Iterator[Diagnosis]:
    leaves: dict[str, x509.Certificate] = {}
    for point, port in (("gui", configuration.gui_port), ("heartbeat", configuration.heartbeat_port)):
        for path, _ in gui_certificate.identities(home / "tls", point):
            leaves[f"{port} ({Path(path).name})"] = gui_certificate.describe(path)[0]
    for number, one in enumerate(gui_certificate.describe(str(home / "ca" / "ca.pem")), 1):
        leaves[f"the CA ({number})"] = one
    for name, leaf in leaves.items():
        begins, ends = leaf.not_valid_before_utc.timestamp(), leaf.not_valid_after_utc.timestamp()
        until = f"{leaf.not_valid_after_utc:%Y-%m-%d}"
        is_ca = name.startswith("the CA")
        remedy = "plimsoll ca rotate" if is_ca else "plimsoll manager certificate set, or a restart"
        if ends <= now:
            yield Diagnosis("certificate", "problem", f"the certificate of {name} has expired, on {until}", remedy)
        elif begins > now:
            text = f"the certificate of {name} is not valid before {leaf.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
            yield Diagnosis("clock", "problem", text, "is this computer's clock behind? Set it")
        elif ends - now < (CA_WARNED if is_ca else SOON):
            yield Diagnosis("certificate", "warning", f"the certificate of {name} expires on {until}", remedy)
    if all(one.not_valid_after_utc.timestamp() - now >= SOON for one in leaves.values()):
        yield Diagnosis("certificate", "good", f"{len(leaves)} certificates are good for more than 30 days")


def _name(home: Path, configuration: Configuration, now: float) -> Iterator[Diagnosis]:
    name = configuration.public_name
    if not name:
        text = "publicName= is not set: agents and browsers go by the name of this computer"
        yield Diagnosis("name", "warning", text, "write publicName= into configuration.properties, then restart")
        return
    known = {known for path, _ in gui_certificate.identities(home / "tls", "gui")[:1]
             for known in gui_certificate.names_of(gui_certificate.describe(path)[0])}  # fmt: skip
    if not any(_covers(pattern, name) for pattern in known):
        text = f"the certificate of {configuration.gui_port} is for {', '.join(sorted(known)) or 'no name'}, not {name}"
        yield Diagnosis("name", "problem", text, "set one that names it: plimsoll manager certificate set")
    try:
        socket.getaddrinfo(name, None)
    except OSError as error:
        text = f"{name} (publicName=) does not resolve here: {error.strerror}"
        yield Diagnosis("name", "warning", text, "agents must resolve it where they are: correct DNS, or the name")
    else:
        yield Diagnosis("name", "good", f"{name} resolves")


def _covers(pattern: str, name: str) -> bool:
    pattern, name = pattern.lower(), name.lower()
    return pattern == name or (pattern.startswith("*.") and name.partition(".")[2] == pattern[2:])


def _proxies(home: Path, configuration: Configuration, now: float) -> Iterator[Diagnosis]:
    for entry in configuration.trusted_proxies:
        try:
            network = ipaddress.ip_network(entry, strict=False)
        except ValueError:
            text = f"trustedProxies= has {entry!r}, which is no address"
            yield Diagnosis(
                "proxies", "problem", text, "write addresses or networks: the balancer's header is not read"
            )
            continue
        if network.prefixlen < (8 if network.version == 4 else 32):
            text = f"trustedProxies= believes all of {network}: anybody there may say to be anybody"
            yield Diagnosis("proxies", "problem", text, "name the balancers alone")


def _balancers(sightings: list[Mapping[str, Any]], now: float) -> Iterator[Diagnosis]:
    """Whose header the running manager did not read: from there nothing comes in."""
    found = {one["address"] for one in sightings if one["detail"] == UNTRUSTED_HEADER and now - one["last"] < HOUR}
    if found:
        text = (
            f"{', '.join(sorted(found)[:_NAMED])} sends the PROXY header, and is not believed: nothing comes in from it"
        )
        yield Diagnosis("proxies", "problem", text, "is it the balancer? Name it in trustedProxies=, then restart")


def _ports(configuration: Configuration, status: Mapping[str, Any]) -> Iterator[Diagnosis]:
    if status.get("state") != "running":
        taken = _taken(configuration)
        yield from taken
        if not taken:
            yield Diagnosis("manager", "problem", "the manager is stopped", "start it: plimsoll manager run")
        return
    here = "127.0.0.1" if configuration.listen_address in _ANYWHERE else configuration.listen_address
    public = configuration.public_name if _resolves(configuration.public_name) else ""
    for point, port in status.get("ports", {}).items():
        for host in dict.fromkeys(filter(None, (here, public))):
            problem = _closed(host, port)
            if problem:
                text = f"{host}:{port} ({point}) cannot be reached from here: {problem}"
                remedy = "open the port in the firewall, or correct listenAddress= or publicName="
                yield Diagnosis("ports", "problem", text, remedy)
            else:
                yield Diagnosis("ports", "good", f"{host}:{port} ({point}) is open")


def _taken(configuration: Configuration) -> list[Diagnosis]:
    """Why a stopped manager would not start: ports that another program has."""
    host = configuration.listen_address
    found = []
    for key, port in (("guiPort", configuration.gui_port), ("heartbeatPort", configuration.heartbeat_port)):
        try:
            listening_socket(host, port).close()
        except NetError as error:
            text = f"the manager is stopped and cannot start: {error}"
            found.append(Diagnosis("ports", "problem", text, f"or write another {key}= or listenAddress="))
    return found


def _resolves(name: str) -> bool:
    """A name that does not is a finding of its own; its ports are not asked by it."""
    try:
        return bool(name and socket.getaddrinfo(name, None))
    except OSError:
        return False


def _closed(host: str, port: int) -> str:
    try:
        socket.create_connection((host, port), _TIMEOUT).close()
    except OSError as error:
        return error.strerror or str(error)
    return ""


_ANSWER = "start it, or correct database=; the floors hold meanwhile, and the manager goes on by itself"


def _database(shown: Mapping[str, Any]) -> Iterator[Diagnosis]:
    if shown.get("problem"):
        yield Diagnosis("database", "problem", f"the database does not answer: {shown['problem']}", _ANSWER)
        return
    if shown.get("warning"):
        yield Diagnosis("database", "warning", str(shown["warning"]), "have whoever runs the database look")
    if shown.get("advice"):
        way = shown.get("protection") or "not encrypted"
        yield Diagnosis("database", "warning", f"the way to the database: {way}", str(shown["advice"]))
    else:
        yield Diagnosis("database", "good", f"the database answers ({shown['engine']})")
    for one in shown.get("checkedDatabases", []):
        if one["blocks"]:
            yield Diagnosis("database", "problem", f"{one['address']} {one['text']}", "upgrade SQL Server, check again")


def _clock(shown: Mapping[str, Any], now: float) -> Iterator[Diagnosis]:
    ahead = max((one["time"] - now for one in shown["events"]), default=0.0)
    if ahead > SKEW:
        text = f"the newest event is {ahead:.0f} s ahead of this computer's clock: it was set back, or is behind"
        yield Diagnosis("clock", "problem", text, "set the clock, and keep it by NTP")
    else:
        yield Diagnosis("clock", "good", "nothing stored is ahead of this computer's clock")


def _computers(everyone: list[Mapping[str, Any]], configuration: Configuration) -> Iterator[Diagnosis]:
    said = {name(one): text for one in everyone if (text := _refused(one))}
    if said:
        text = "; ".join(f"{who}: {why}" for who, why in list(said.items())[:_NAMED])
        remedy = "plimsoll preflight shows who cannot follow; upgrade them, or plimsoll exception add"
        yield Diagnosis("floor", "problem", f"{len(said)} computers cannot talk to the manager: {text}", remedy)
    else:
        yield Diagnosis("floor", "good", "no computer is known to be turned away")
    unsent = [name(one) for one in everyone if one.get("policyPending")]
    if unsent:
        text = f"{len(unsent)} computers wait for their policy: {', '.join(unsent[:_NAMED])}"
        yield Diagnosis("policies", "warning", text, "plimsoll send-policy --all, or --relay-group, or --computer")
    else:
        yield Diagnosis("policies", "good", "no policy waits to be sent")
    waiting = [one for one in everyone if one.get("state") == "approval"]
    if waiting:
        text = f"{len(waiting)} computers wait for approval"
        yield Diagnosis("approval", "warning", text, "plimsoll computers list --state approval")
    addresses = [one.get("lastIPUsed") for one in everyone if one.get("lastIPUsed")]
    common = max(set(addresses), key=addresses.count) if addresses else None
    if common and not configuration.trusted_proxies and len(addresses) >= BEHIND and set(addresses) == {common}:
        text = f"all {len(addresses)} computers call from {common}: is that a balancer, or a network's gateway?"
        remedy = "have it send the PROXY header, and name it in trustedProxies=; else all refusals are one address's"
        yield Diagnosis("proxies", "warning", text, remedy)


def name(computer: Mapping[str, Any]) -> str:
    return str(computer.get("displayName") or computer.get("hostName") or computer.get("hostGUID"))


def _refused(computer: Mapping[str, Any]) -> str:
    messages = (computer.get("computerStatus") or {}).get("agentStatusMessages") or []
    mark = "Communications Problem: "
    return next((one.removeprefix(mark) for one in messages if one.startswith(mark)), "")
