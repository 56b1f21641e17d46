"""The manager's home folder: made by `init_home`, opened under a lock by `open_home`."""

from __future__ import annotations

import fcntl
import os
import re
import socket
import time
import uuid
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from plimsoll import RELEASE
from plimsoll.manager import config, database, secret
from plimsoll.manager.ca import Authority, ensure_serving
from plimsoll.manager.ca_keyring import Keyring, Standing
from plimsoll.manager.config import Configuration
from plimsoll.manager.database import DatabaseAddress
from plimsoll.manager.node_identity import node_of
from plimsoll.manager.opening import DATABASE, PASSWORD, HomeError, check_release, reach_fresh, store_of
from plimsoll.manager.ports import BadInput, Role
from plimsoll.manager.sealing import Sealer
from plimsoll.manager.store import Connection, Store, access, audit, facts, floors, policies
from plimsoll.tls.floors import Point
from plimsoll.tls.versions import Version

__all__ = ["DATABASE", "Home", "HomeError", "HomeLock", "InitResult", "init_home", "lock_home", "open_home"]

ADMINISTRATOR = "admin"
SOFTWARE = "software"
#: The activation token that init makes: many uses, for that long.
TOKEN_SECONDS = 30 * 86400.0
_ANYWHERE = ("0.0.0.0", "::", "")  # names of all addresses, which stand in no certificate

PROPERTIES = """\
# The manager's own settings. After a change: plimsoll manager reload (ports and addresses: restart).
serviceName={service}
# A line protocols= below serviceName= lists what the GUI port accepts; its lowest version is that port's floor.
# Without the line the floor is TLSv1.2, or the heartbeat port's where that is newer.
guiPort={gui}
heartbeatPort={heartbeat}
listenAddress={listen}
"""


@dataclass(frozen=True, slots=True)
class InitResult:
    """What `manager init --json` prints; password, key and token are shown this once.

    The activation token is good for any number of computers for thirty days. `database` is the store's, without any
    password of its own.
    """

    home: str
    admin_user: str
    admin_password: str
    api_key: str
    activation_token: str
    ca_certificate: str
    gui_port: int
    heartbeat_port: int
    database: str

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


class HomeLock:
    """Held by whoever works on the home; the system lets go of it when the process dies, however it dies."""

    def __init__(self, home: Path) -> None:
        run = home / "run"
        run.mkdir(mode=0o700, exist_ok=True)
        path = run / "manager.lock"
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(self._file, 32).decode(errors="replace").strip() or "unknown"
            os.close(self._file)
            raise HomeError(
                f"{home} is in use by process {holder}; nothing was changed. Stop that manager first, or use its socket"
            ) from None
        os.ftruncate(self._file, 0)
        os.write(self._file, f"{os.getpid()}\n".encode())

    def release(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


class Home:
    """An opened home: configuration, store, CA. Holds the lock until `close`."""

    def __init__(self, path: Path, lock: HomeLock, configuration: Configuration, store: Store) -> None:
        self.path = path
        #: The last good reading of configuration.properties.
        self.config = configuration
        self.store = store
        self.installation = store.read(lambda c: facts.get(c, facts.INSTALLATION)) or ""
        self.sealer = Sealer(path)
        self.keys = Keyring(path / "ca", self.installation, self.sealer)
        self.node = node_of(path)
        self._lock = lock

    @property
    def config_path(self) -> Path:
        return self.path / config.FILE_NAME

    @property
    def software(self) -> Path:
        """Packages and their signed metadata: in the home, or where several managers share them."""
        return Path(self.config.software_directory) if self.config.software_directory else self.path / SOFTWARE

    @property
    def tls(self) -> Path:
        return self.path / "tls"

    @property
    def backup(self) -> Path:
        return self.path / "backup"

    @property
    def socket_path(self) -> Path:
        return self.path / "run" / "manager.sock"

    @property
    def ca_certificate(self) -> Path:
        """The CAs that are trusted, the issuing one first."""
        return self.path / "ca" / "ca.pem"

    def ca(self, connection: Connection) -> Standing:
        """Who issues and who is trusted, as of this transaction. Raises BadInput where a key is missing."""
        return self.keys.stored(connection)

    def read_config(self) -> Configuration:
        """The file as it is now; `config` stays. Raises ConfigurationError."""
        return config.load(self.config_path)

    def protocols_in_file(self) -> str | None:
        return self.read_config().protocols

    def serving_names(self) -> tuple[str, ...]:
        """The names that the manager's own certificates carry."""
        return _serving_names(self.config)

    def ensure_serving(self, now: float) -> Standing:
        """Makes or renews the certificates of 4119 and 4120, and writes what is trusted, as the store says.

        At start, and whenever that changed. Raises BadInput where the key of a CA is missing.
        """
        standing = self.store.read(self.ca)
        self.keys.settle(standing, self.backup, now)
        ensure_serving(standing.issuing, standing.chain, self.tls, self.serving_names(), now)
        return standing

    def close(self) -> None:
        self.store.close()
        self._lock.release()


def _serving_names(configuration: Configuration) -> tuple[str, ...]:
    names = [configuration.public_name, socket.gethostname(), "localhost", "127.0.0.1", "::1"]
    if configuration.listen_address not in _ANYWHERE:
        names.append(configuration.listen_address)
    return tuple(dict.fromkeys(filter(None, names)))


def init_home(
    directory: Path,
    gui_port: int = 4119,
    heartbeat_port: int = 4120,
    listen: str = "0.0.0.0",
    name: str | None = None,
    store: str = database.EMBEDDED,
    store_password: str | None = None,
) -> InitResult:
    """Makes a new home: TLS 1.2 enforced everywhere (R6). Raises HomeError where the folder or the database is in use,
    and BadInput for an address that is none.

    `store` is what ``database=`` will say; a password for it, there or apart, goes into a file that only the home's
    owner can read. configuration.properties comes last: a folder without it is no home, whatever else a crash left.
    """
    check_ports(gui_port, heartbeat_port)
    check_name(name)
    address = _address(store, store_password)
    home = unused(directory)
    if address is not None:
        opened = Store.connect(address)
        try:
            reach_fresh(opened)
        finally:
            opened.close()
    text = PROPERTIES.format(service="Plimsoll", gui=gui_port, heartbeat=heartbeat_port, listen=listen)
    text += f"publicName={name}\n" if name else ""
    text += f"database={address}\n" if address is not None else ""
    configuration = config.parse(home / config.FILE_NAME, text)
    make_folders(home)
    lock = HomeLock(home)
    try:
        now = time.time()
        installation = uuid.uuid4().hex
        authority = Authority.create(home / "ca", installation, now)
        ensure_serving(authority, authority.certificate_pem, home / "tls", _serving_names(configuration), now)
        if address is not None and address.password is not None:
            line = address.passfile_line(address.password)
            config.write_atomically(home / PASSWORD, line.encode(), 0o600)
        password, key, token = _fill(home, address, authority, installation, now)
        config.write_atomically(home / config.FILE_NAME, text.encode(), 0o600)
    finally:
        lock.release()
    ca_path = str(home / "ca" / "ca.pem")
    shown = str(address or database.EMBEDDED)
    return InitResult(str(home), ADMINISTRATOR, password, key, token, ca_path, gui_port, heartbeat_port, shown)


def _address(text: str, password: str | None) -> DatabaseAddress | None:
    try:
        address = database.parse(text)
    except ValueError as error:
        raise BadInput(f"the database's address {error}; nothing was made") from None
    if address is None or password is None:
        if password is not None:
            raise BadInput("the embedded database has no password; nothing was made")
        return address
    return replace(address, password=password)


def _fill(
    home: Path, address: DatabaseAddress | None, authority: Authority, installation: str, now: float
) -> tuple[str, str, str]:
    """Schema and first rows, in one transaction; the administrator's password, an API key and an activation token."""
    made: list[tuple[str, str, str]] = []

    def seed(connection: Connection) -> None:
        # Looked at again where nobody else can begin: two who make a home at once must not share a database.
        if facts.get(connection, facts.INSTALLATION) is not None:
            raise HomeError(f"another home was made in {store.database.where} just now; {home} is none")
        made.append(_seed(connection, authority, installation, now))

    if address is None:
        (home / DATABASE).touch(mode=0o600)
    store = Store.open(home / DATABASE) if address is None else Store.connect(address)
    try:
        store.migrate(then=seed)
    finally:
        store.close()
    return made[0]


def check_ports(*ports: int) -> None:
    if any(not 0 <= port <= 65535 for port in ports):
        raise HomeError("ports are numbers from 0 to 65535; nothing was made")
    if len(set(ports)) < len(ports) and any(ports):
        raise HomeError("the GUI port and the heartbeat port must differ; nothing was made")


def check_name(name: str | None) -> None:
    """A DNS name or an address: it goes into certificates and into a line of configuration.properties."""
    if name and not _NAME.fullmatch(name):
        raise BadInput(f"{name!r} is neither a host's name nor an address; nothing was made")


_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*", re.ASCII)


def unused(directory: Path) -> Path:
    home = directory.absolute()
    if home.exists() and (not home.is_dir() or any(home.iterdir())):
        what = "is a manager's home already" if (home / config.FILE_NAME).exists() else "is not empty"
        raise HomeError(f"{home} {what}; nothing was changed. Name a folder that is new or empty")
    return home


def make_folders(home: Path) -> None:
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    home.chmod(0o700)
    for folder in ("ca", "tls", "backup"):
        (home / folder).mkdir(mode=0o700)
    node_of(home)


def _seed(connection: Connection, authority: Authority, installation: str, now: float) -> tuple[str, str, str]:
    """A new home's rows; the administrator's password, an API key and an activation token."""
    # Here, and not above: the services need a home, and this makes one.
    from plimsoll.manager.services.activation import add_token
    from plimsoll.manager.services.api_keys import add_api_key
    from plimsoll.manager.services.floor_state import remember_protocols
    from plimsoll.manager.services.policy_rules import BASE, DEFAULTS

    for fact, value in (
        (facts.INSTALLATION, installation),
        (facts.RELEASE, RELEASE),
        (facts.ORIGIN, "init"),
        (facts.CREATED, str(now)),
    ):
        facts.put(connection, fact, value)
    audit.begin(connection, now, f"this home was made by {RELEASE}")
    remember_protocols(connection, None)
    generation = facts.advance(connection, facts.FLOOR_GENERATION, now)
    floors.put(connection, Point.HEARTBEAT.value, Version.TLS1_2)
    for point in Point:
        policy = BASE if point in (Point.RELAY, Point.AGENT) else None
        entry = floors.HistoryRecord(
            generation, now, point.value, None, Version.TLS1_2, "system:manager", "cli", cause="init", policy=policy
        )
        floors.add_history(connection, entry)
    policy_generation = facts.advance(connection, facts.POLICY_GENERATION, now)
    policies.add_policy(connection, name=BASE, generation=policy_generation, **DEFAULTS)
    policies.add_group(connection, policies.DEFAULT_GROUP, None)
    password, key = secret.new_password(), secret.new_key_secret()
    access.add_user(
        connection,
        name=ADMINISTRATOR,
        password_hash=secret.hash_password(password),
        role=Role.ADMINISTRATOR.value,
        created=now,
    )
    number = add_api_key(connection, "init", Role.ADMINISTRATOR, key, "system:manager", now)
    token = add_token(connection, authority.key_hash, now, None, TOKEN_SECONDS, None, "system:manager")
    return password, f"{number}:{key}", token.token


def lock_home(directory: Path) -> tuple[Path, HomeLock]:
    """Raises HomeError: no home there, or somebody works on it (the pid is named)."""
    home = directory.absolute()
    if not (home / config.FILE_NAME).exists():
        raise HomeError(f"{home} is not a manager's home: it has no {config.FILE_NAME}. Make one with manager init")
    return home, HomeLock(home)


def open_home(directory: Path) -> Home:
    """Locks and opens. Raises HomeError (no home, second manager, needs `manager upgrade`) and ConfigurationError.

    A malformed configuration.properties is refused here, with line and column: a manager never starts on a guess.
    """
    home, lock = lock_home(directory)
    try:
        configuration = config.load(home / config.FILE_NAME)
        store = store_of(home, configuration, alone=False)
        try:
            check_release(home, store)
            try:
                opened = Home(home, lock, configuration, store)
                _renew_authorities(opened, time.time())
                opened.ensure_serving(time.time())
            except BadInput as error:
                raise HomeError(f"{error.message}. Nothing was changed") from None
        except BaseException:
            store.close()
            raise
    except BaseException:
        lock.release()
        raise
    return opened


def _renew_authorities(home: Home, now: float) -> None:
    """Before anything is issued: a CA that has ended, or soon does, could not vouch for what it signs."""
    from plimsoll.manager.services import ca_end
    from plimsoll.manager.services.core import Unit

    if any(one.ends - now < ca_end.RENEWED for one in home.store.read(home.ca).trusted):
        home.store.write(lambda connection: ca_end.look(Unit(connection, now), home))
