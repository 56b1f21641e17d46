"""`plimsoll manager upgrade`: brings an older home to this release without moving a floor (R7).

Everything happens on a copy of the database, which takes the old one's place by one rename; until then the home is as
it was, from then on it is new. In PostgreSQL, where there is no such copy, it all happens in one transaction instead.
Where 4119's floor needs a ``protocols=`` line to stay what it was, the new database says that this line is still to be
written, so that whoever comes next, this command again or a start, finishes it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from plimsoll import RELEASE
from plimsoll.fleet.relay_floor import version_default
from plimsoll.manager import config, database
from plimsoll.manager.config import Configuration
from plimsoll.manager.home import lock_home
from plimsoll.manager.opening import DATABASE, HomeError, store_of
from plimsoll.manager.services import floor_state
from plimsoll.manager.services.policy_rules import BASE, DEFAULTS
from plimsoll.manager.store import Connection, Store, audit, computers, facts, floors, migrate, policies
from plimsoll.messages import Kind
from plimsoll.tls.floors import Point
from plimsoll.tls.versions import Version


@dataclass(frozen=True, slots=True)
class UpgradeResult:
    """`already` where there was nothing to do. `floors` are those in force after, equal to those before. `backup` is
    the old database; None where there was nothing to do, and of a PostgreSQL database, whose backups are not ours.
    """

    already: bool
    from_release: str
    to_release: str
    floors: dict[str, Version]
    kept_relays: int
    backup: str | None


def upgrade_home(directory: Path) -> UpgradeResult:
    """Raises HomeError where the manager runs or the home cannot be read; then nothing was changed.

    May be killed at any moment and run again: the floors stay what they were.
    """
    home, lock = lock_home(directory)
    try:
        configuration = config.load(home / config.FILE_NAME)
        if database.parse(configuration.database) is not None:
            return _upgrade_in_place(home, configuration)
        if _is_new(home, configuration):
            return _finish(home, configuration, already=True, backup=None)
        backup = _upgrade(home)
        return _finish(home, configuration, already=False, backup=str(backup))
    finally:
        lock.release()


def _is_new(home: Path, configuration: Configuration) -> bool:
    with contextlib.closing(store_of(home, configuration)) as store:
        return _at_head(home, store)


def _at_head(home: Path, store: Store) -> bool:
    revision = store.revision
    if revision != migrate.HEAD and revision not in migrate.KNOWN:
        raise HomeError(f"{home} was written by a later release ({revision}) than {RELEASE}; nothing was changed")
    return revision == migrate.HEAD


def _upgrade_in_place(home: Path, configuration: Configuration) -> UpgradeResult:
    """One transaction that migrates and pins: a kill before its end leaves the old database, after it the new one."""
    with contextlib.closing(store_of(home, configuration)) as store:
        already = _at_head(home, store)
        if not already:
            keep_settings(home, store.read(lambda c: facts.get(c, facts.RELEASE)) or "unknown")
            store.migrate(then=lambda connection: pin(connection, configuration.protocols, time.time()))
        return _finished(home, store, already, None)


def _upgrade(home: Path) -> Path:
    fold_log(home / DATABASE)
    copy = copy_database(home)
    release = bring_up(copy, home)
    backup = keep_backup(home, release)
    swap(home, copy)
    return backup


def fold_log(database: Path) -> None:
    """Takes the write-ahead log into the file, so that no old log lies beside the new file after the rename."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        if connection.execute("PRAGMA journal_mode=DELETE").fetchone()[0] != "delete":
            raise HomeError(f"{database} is in use by another process; nothing was changed. Stop it first")


def copy_database(home: Path) -> Path:
    """A copy to work on. What an interrupted upgrade left behind is thrown away."""
    copy = home / f"{DATABASE}.upgrade"
    for leftover in (copy, Path(f"{copy}-wal"), Path(f"{copy}-shm"), Path(f"{copy}-journal")):
        leftover.unlink(missing_ok=True)
    copy.touch(mode=0o600)
    shutil.copyfile(home / DATABASE, copy)
    return copy


def bring_up(copy: Path, home: Path) -> str:
    """Migrates the copy and pins its floors; the release that it came from."""
    protocols = config.load(home / config.FILE_NAME).protocols
    store = Store.open(copy)
    try:
        store.migrate()
        release = store.write(lambda connection: pin(connection, protocols, time.time()))
    finally:
        store.close()
    fold_log(copy)
    with copy.open("rb") as file:
        os.fsync(file.fileno())
    return release


def keep_backup(home: Path, release: str) -> Path:
    """The old database and properties under the old release's name; a second run writes the same again."""
    folder = home / "backup"
    folder.mkdir(mode=0o700, exist_ok=True)
    backup = folder / f"plimsoll-{release}.db"
    config.write_atomically(backup, (home / DATABASE).read_bytes(), 0o600)
    keep_settings(home, release)
    return backup


def keep_settings(home: Path, release: str) -> None:
    folder = home / "backup"
    folder.mkdir(mode=0o700, exist_ok=True)
    settings = (home / config.FILE_NAME).read_bytes()
    config.write_atomically(folder / f"configuration-{release}.properties", settings, 0o600)


def swap(home: Path, copy: Path) -> None:
    """The moment of the upgrade: one rename."""
    copy.replace(home / DATABASE)
    config.sync_directory(home)


def _finish(home: Path, configuration: Configuration, *, already: bool, backup: str | None) -> UpgradeResult:
    with contextlib.closing(store_of(home, configuration)) as store:
        return _finished(home, store, already, backup)


def _finished(home: Path, store: Store, already: bool, backup: str | None) -> UpgradeResult:
    """Writes the line of the file that may be left to write, and tells how things stand."""
    writing, applied = store.read(lambda c: (facts.get(c, facts.PROTOCOLS_WRITING), floor_state.applied_protocols(c)))
    path = home / config.FILE_NAME
    if writing is not None:
        if config.digest(config.load(path).protocols) == writing:
            config.write_protocols(path, applied)
        store.write(lambda c: facts.drop(c, facts.PROTOCOLS_WRITING))
    return store.read(lambda c: _result(c, already, backup))


def _result(connection: Connection, already: bool, backup: str | None) -> UpgradeResult:
    relays = computers.find(connection, kind=Kind.RELAY.value)
    return UpgradeResult(
        already=already,
        from_release=facts.get(connection, facts.INSTALLED_FROM) or RELEASE,
        to_release=RELEASE,
        floors={point.value: floor for point, floor in floor_state.read(connection).floors().items()},
        kept_relays=sum(relay.relay_floor_kept is not None for relay in relays),
        backup=backup,
    )


def pin(connection: Connection, protocols: str | None, now: float) -> str:
    """Writes down every floor that the earlier release held, set or by default; the release's name."""
    release = facts.get(connection, facts.RELEASE) or "unknown"
    default = version_default(release)
    stored = floors.read(connection)
    heartbeat = stored.get(Point.HEARTBEAT.value)
    gui = _gui_before(protocols, heartbeat, default)
    kept = _pin_relays(connection)
    relay = min([default, *kept])
    _pin_policies(connection, relay, heartbeat or default, now)
    floors.put(connection, Point.HEARTBEAT.value, heartbeat or default)
    floors.drop(connection, Point.GUI.value)
    _pin_protocols(connection, protocols, gui, heartbeat or default)
    _write_facts(connection, release, now)
    audit.begin(connection, now, f"the home was upgraded from {release} to {RELEASE}, which kept no such chain")
    state = floor_state.read(connection)
    for point, floor in state.floors().items():
        policy = BASE if point in (Point.RELAY, Point.AGENT) else None
        generation = facts.counter(connection, facts.FLOOR_GENERATION)
        entry = floors.HistoryRecord(generation, now, point.value, floor, floor, "system:manager", "cli")
        reason = f"kept through the upgrade from {release}"
        floors.add_history(connection, replace(entry, cause="upgrade", policy=policy, reason=reason))
    return release


def _gui_before(protocols: str | None, heartbeat: Version | None, default: Version) -> Version:
    """4119's floor in the earlier release: by its line; without one by R15's rule, once a floor had been set at all."""
    if protocols is not None or heartbeat is not None:
        return config.gui_floor(protocols, heartbeat or default)
    return default


def _pin_protocols(connection: Connection, in_file: str | None, gui: Version, heartbeat: Version) -> None:
    """The file stays as it is where it says the floor already; else it gets a line that does."""
    says = config.gui_floor(in_file, heartbeat)
    wanted = in_file if says is gui else config.protocols_for(gui, heartbeat)
    floor_state.remember_protocols(connection, wanted)
    if wanted != in_file:
        facts.put(connection, facts.PROTOCOLS_WRITING, config.digest(in_file))


def _pin_relays(connection: Connection) -> list[Version]:
    """Every relay keeps what it holds now, also once its own version says another default (R7)."""
    held: list[Version] = []
    for relay in computers.find(connection, kind=Kind.RELAY.value):
        columns: dict[str, Any] = {}
        if relay.relay_floor_given is not None:
            columns["floors_sent_at"] = relay.floors_sent_at or 0.0
            held.append(relay.relay_floor_given)
        else:
            columns["relay_floor_kept"] = version_default(relay.version)
            held.append(columns["relay_floor_kept"])
        computers.change(connection, relay.id, **columns)
    return held


def _pin_policies(connection: Connection, relay: Version, agent: Version, now: float) -> None:
    """Every policy says its floors from now on, and inherits the rest from the base policy."""
    if policies.policy_named(connection, BASE) is None:
        policies.add_policy(connection, name=BASE, generation=0)
    base = policies.policy_named(connection, BASE)
    assert base is not None
    for record in policies.all_policies(connection):
        columns: dict[str, Any] = {"parent_id": base.id} if record.id != base.id else _completed(record, agent)
        columns["relay_floor"] = record.relay_floor or relay
        generation = facts.advance(connection, facts.POLICY_GENERATION, now)
        policies.change_policy(connection, record.id, generation=generation, **columns)


def _completed(base: policies.PolicyRecord, agent: Version) -> dict[str, Any]:
    """The base policy has all values. 4118 had no floor of its own: it gets the heartbeat port's."""
    values = {name: default for name, default in DEFAULTS.items() if getattr(base, name) is None}
    return values | {"agent_floor": agent}


def _write_facts(connection: Connection, release: str, now: float) -> None:
    facts.put(connection, facts.RELEASE, RELEASE)
    facts.put(connection, facts.ORIGIN, "upgrade")
    facts.put(connection, facts.INSTALLED_FROM, release)
    facts.advance(connection, facts.FLOOR_GENERATION, now)
