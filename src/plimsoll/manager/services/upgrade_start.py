"""What is looked at before an upgrade begins: who takes part, in which order, and what forbids it (R9, R20)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from plimsoll import RELEASE
from plimsoll.fleet import upgrades as pure
from plimsoll.fleet.changes import some
from plimsoll.fleet.component import ComponentVersion, UnknownComponentVersionError, parse_or_none
from plimsoll.fleet.upgrades import Candidate, Chosen, Layer, Wave
from plimsoll.manager.ports import BadInput, Conflict, NotFound, Principal
from plimsoll.manager.services import events as numbers
from plimsoll.manager.services import floor_state
from plimsoll.manager.services.change_views import busy as change_busy
from plimsoll.manager.services.core import Core, Unit
from plimsoll.manager.services.events import NewEvent
from plimsoll.manager.services.quiet import check_no_rotation
from plimsoll.manager.services.software import SoftwareService, SoftwareView
from plimsoll.manager.services.upgrade_views import PlanView, WaveView, busy, note, stage_of
from plimsoll.manager.store import Connection
from plimsoll.manager.store import changes as change_table
from plimsoll.manager.store import computers as computer_table
from plimsoll.manager.store import policies as policy_table
from plimsoll.manager.store import upgrades as table
from plimsoll.manager.store.computers import ComputerRecord
from plimsoll.manager.store.upgrades import HostRecord, UpgradeRecord
from plimsoll.messages import Kind

WAVES = "1%,10%,50%,100%"
SOAK = 1800.0
FAILED = 0.02
WATCH = 600.0
PATIENCE = 3600.0
AT_ONCE = 1000
_LONGEST_SOAK = 30 * 86400.0
#: How many ids are asked for at once.
_PIECE = 500

#: Packages that an agent can take a tree out of.
_UNPACKED = (".deb", ".tar.gz", ".tgz", ".tar.xz")
#: Systems whose agents do not run from trees.
_OTHERS = ("Windows", "Solaris", "AIX", "macOS")


@dataclass(frozen=True, slots=True)
class StartRequest:
    """What a new upgrade is asked to do: everybody, or those of the relay groups, policies and computers named,
    and those with these `ids`, of whom any may have gone since.

    `soak`, `watch` (how long a new release may take to prove itself on its host) and `patience` (how long a computer
    may say nothing new) are seconds; `failed` is the share of a wave that may fail.
    """

    to: str
    groups: Sequence[str] = ()
    policies: Sequence[str] = ()
    computers: Sequence[str] = ()
    ids: Sequence[str] = ()
    wave: str = WAVES
    soak: float = SOAK
    failed: float = FAILED
    watch: float = WATCH
    patience: float = PATIENCE
    at_once: int = AT_ONCE


@dataclass(frozen=True, slots=True)
class Prepared:
    """An upgrade that may begin. `goals` are the releases by computer, where they differ from the target."""

    target: ComponentVersion
    chosen: Chosen
    waves: tuple[Wave, ...]
    options: dict[str, Any]
    goals: dict[str, str]


class Starting:
    """Checks first, writes last: nothing was changed where any of it raises."""

    def __init__(self, core: Core, software: SoftwareService) -> None:
        self._core = core
        self._software = software

    def plan(self, request: StartRequest) -> PlanView:
        """What `start` would do. Raises as it does."""
        return planned(self._prepare(request))

    def start(self, principal: Principal, request: StartRequest) -> int:
        """The number of the new upgrade. Raises as `UpgradesService.start`."""
        return self._write(principal, self._prepare(request), "started")

    def back(self, principal: Principal, record: UpgradeRecord) -> int:
        """The number of the upgrade that takes that one back. Raises as `UpgradesService.back`."""
        prepared = self._core.store.read(lambda connection: self._backwards(connection, record))
        return self._write(principal, prepared, f"started, to take upgrade {record.id} back")

    # -- forwards

    def _prepare(self, request: StartRequest) -> Prepared:
        shares = _checked(request)
        target, packages = self._target(request.to)
        manager = ComponentVersion.parse(RELEASE)
        if pure.too_new_for(manager, target):
            raise Conflict(
                f"this manager is release {RELEASE}, and no agent may be newer than its manager; nothing was started."
                " Upgrade the manager first, then the database, then the agents and relays"
            )

        def work(connection: Connection) -> Prepared:
            _check_quiet(connection)
            parents = {group.id: group.parent_id for group in policy_table.all_groups(connection)}
            records = [one for one in _selected(connection, request) if one.state == "active"]
            why = pure.cut_off({one.kind for one in records}, target, floor_state.read(connection).floors())
            if why:
                raise Conflict(f"{why}; nothing was started")
            candidates = [candidate(one, packages(one)) for one in records]
            chosen = pure.choose(candidates, target)
            if not chosen.hosts:
                raise BadInput(_nothing(target, chosen))
            self._check_relays(connection, chosen, target, parents)
            waves = pure.waves_of(chosen.hosts, shares, parents)
            return Prepared(target, chosen, waves, _options(request, waves, chosen), {})

        return self._core.store.read(work)

    def _target(self, text: str) -> tuple[ComponentVersion, Callable[[ComputerRecord], str]]:
        """The release that is meant, and how to find a computer's package of it. "12.1" is the newest 12.1."""
        try:
            wanted = ComponentVersion.parse(text)
        except UnknownComponentVersionError as error:
            raise BadInput(f"{error}; nothing was started") from None
        agents = [one for one in self._software.everything() if one.product == "agent"]
        loose = text.strip().count(".") == 1 and wanted.update is None and wanted.build is None
        fit = [
            one
            for one in agents
            if (one.component.major_minor == wanted.major_minor if loose else pure.is_release(one.version, wanted))
        ]
        if not fit:
            # What cannot work at all is said before what is missing.
            return wanted, lambda computer: ""
        newest = max((one.component for one in fit), key=lambda version: version.key)
        exact = [one for one in fit if one.component == newest]
        return newest, lambda computer: _package(exact, computer)

    def _check_relays(
        self, connection: Connection, chosen: Chosen, target: ComponentVersion, parents: dict[int, int | None]
    ) -> None:
        """Raises Conflict where somebody would be upgraded before a relay that is not even taken along (R9)."""
        relays = [
            candidate(one, "")
            for one in computer_table.find(connection, kind=Kind.RELAY.value)
            if one.state == "active"
        ]
        late = pure.late_relays(chosen.hosts, relays, target, parents, {one.id for one in chosen.hosts})
        if late:
            said = "; ".join(f"{relay}, from which {some(names)} download" for relay, names in list(late.items())[:5])
            raise Conflict(
                f"relays go before those who download from them, and these would not be at {target}: {said}. Nothing"
                " was started. Take the relays along, or upgrade them first (by their package, where they cannot do"
                " it themselves)"
            )

    # -- back

    def _backwards(self, connection: Connection, record: UpgradeRecord) -> Prepared:
        if record.state in table.OPEN:
            raise Conflict(
                f"upgrade {record.id} is {record.state}; end it first: plimsoll upgrade abort {record.id}. Nothing was"
                " changed"
            )
        _check_quiet(connection)
        done = {one.computer: one for one in table.hosts(connection, record.id, states=(table.DONE,))}
        floors = floor_state.read(connection).floors()
        hosts: list[Candidate] = []
        goals: dict[str, str] = {}
        left: dict[str, list[str]] = {}
        for one in computer_table.find(connection, ids=list(done)):
            host = done[one.id]
            former = ComponentVersion.parse(host.former)
            kept = next((name for name in one.inventory.get("kept", []) if pure.is_release(name, former)), None)
            why = pure.cut_off({one.kind}, former, floors)
            if not pure.is_release(one.version, ComponentVersion.parse(host.goal)):
                why = f"it is at {one.version} by now"
            elif kept is None and not why:
                why = f"release {host.former} is not kept there any more"
            if why or kept is None:
                left.setdefault(why, []).append(one.display)
                continue
            hosts.append(candidate(one, "kept"))
            goals[one.id] = kept
        if not hosts:
            said = "; ".join(f"{some(sorted(names))}: {why}" for why, names in left.items()) or "none was upgraded"
            raise Conflict(f"no computer of upgrade {record.id} can go back ({said}); nothing was changed")
        chosen = Chosen(tuple(hosts), 0, {why: tuple(sorted(names)) for why, names in left.items()})
        waves = pure.backwards(hosts)
        options = record.options | {
            "waves": _sizes(waves),
            "left": dict(chosen.left),
            "back_of": record.id,
            "accepted": {},
        }
        return Prepared(ComponentVersion.parse(record.target), chosen, waves, options, goals)

    # -- written

    def _write(self, principal: Principal, prepared: Prepared, what: str) -> int:
        by_id = {one.id: one for one in prepared.chosen.hosts}

        def work(unit: Unit) -> int:
            _check_quiet(unit.connection)
            target = str(prepared.target)
            new = UpgradeRecord(
                id=0, created=unit.now, who=principal.who, name=principal.name, via=principal.via, target=target,
                state="running", wave=0, entered=unit.now, soaked=0.0, options=prepared.options, seen={}, text="begins",
            )  # fmt: skip
            identifier = table.add(unit.connection, new)
            table.add_hosts(
                unit.connection,
                [
                    HostRecord(
                        identifier, one, by_id[one].name, number, table.WAITING, str(by_id[one].version),
                        prepared.goals.get(one, target), "" if one in prepared.goals else by_id[one].package,
                        since=unit.now,
                    )
                    for number, wave in enumerate(prepared.waves)
                    for one in wave.hosts
                ],
            )  # fmt: skip
            back_of = prepared.options.get("back_of")
            whom = f"{len(by_id)} computers" + (" to what they had" if back_of else f" to {target}")
            said = f"{whom} in {len(prepared.waves)} waves"
            stage = stage_of(table_get(unit.connection, identifier), 0)
            note(unit, identifier, stage, "started", said, principal.who)
            after = prepared.options | {"to": target, "computers": len(by_id)}
            unit.audit(principal, "upgrades.start", f"upgrade {identifier}", None, after)
            text = f"{principal.name} {what}: upgrade {identifier}, {said}"
            unit.event(NewEvent(numbers.UPGRADE_STARTED, "info", text, target=f"upgrade {identifier}"))
            return identifier

        return self._core.write(work)


def table_get(connection: Connection, identifier: int) -> UpgradeRecord:
    found = table.get(connection, identifier)
    assert found is not None, "it was added in this transaction"
    return found


def planned(prepared: Prepared) -> PlanView:
    waves = tuple(
        WaveView(number + 1, wave.label, len(wave.hosts), {}) for number, wave in enumerate(prepared.waves)
    )  # fmt: skip
    return PlanView(str(prepared.target), waves, prepared.chosen.there, prepared.chosen.left)


def candidate(one: ComputerRecord, package: str) -> Candidate:
    return Candidate(
        id=one.id,
        name=one.display,
        kind=one.kind,
        version=parse_or_none(one.version),
        group=one.relay_group_id,
        online=one.online,
        upgradable=bool(one.inventory.get("upgradable")),
        platform=one.platform,
        architecture=one.architecture,
        package=package,
    )


def _check_quiet(connection: Connection) -> None:
    """One long work at a time: what a change reads from a silence would be an upgrade's, and the other way round."""
    running = table.under_way(connection)
    if running is not None:
        raise Conflict(busy(running))
    change = change_table.under_way(connection)
    if change is not None:
        raise Conflict(change_busy(change))
    check_no_rotation(connection, "no upgrade begins")


def _selected(connection: Connection, request: StartRequest) -> Sequence[ComputerRecord]:
    """Everybody, or those that any of the selections names. Raises NotFound for a name that nobody has."""
    if not (request.groups or request.policies or request.computers or request.ids):
        return computer_table.find(connection)
    found: dict[str, ComputerRecord] = {}

    def take(records: Collection[ComputerRecord]) -> None:
        found.update({one.id: one for one in records})

    for name in request.groups:
        group = policy_table.group_named(connection, name)
        if group is None:
            raise NotFound(f"there is no relay group {name!r}; nothing was started")
        take(computer_table.find(connection, relay_group_id=group.id))
    for name in request.policies:
        policy = policy_table.policy_named(connection, name)
        if policy is None:
            raise NotFound(f"there is no policy {name!r}; nothing was started")
        take(computer_table.find(connection, policy_ids=[policy.id]))
    for name in request.computers:
        named = computer_table.named(connection, name)
        if not named:
            raise NotFound(f"there is no computer {name!r}; nothing was started")
        take(computer_table.find(connection, ids=[row[0] for row in named]))
    for start in range(0, len(request.ids), _PIECE):
        take(computer_table.find(connection, ids=request.ids[start : start + _PIECE]))
    return [found[identifier] for identifier in sorted(found)]


def fitting(packages: Iterable[SoftwareView], architecture: str) -> list[SoftwareView]:
    """Those that an agent of that architecture can unpack and start."""
    return [
        one
        for one in packages
        if one.architecture == architecture
        and one.file.endswith(_UNPACKED)
        and one.platform.split("_")[0] not in _OTHERS
    ]


def _package(packages: Sequence[SoftwareView], computer: ComputerRecord) -> str:
    """The target of the package for a computer: for any Linux before one that was made for some distribution.

    Its tree brings all it needs, and its own probe says on the host whether it runs there.
    """
    fit = fitting(packages, computer.architecture)
    fit.sort(key=lambda one: (one.platform != "Linux", one.file.endswith(".deb"), one.target))
    return fit[0].target if fit else ""


def _checked(request: StartRequest) -> tuple[float, ...]:
    try:
        shares = pure.parse_shares(request.wave)
    except ValueError as error:
        raise BadInput(f"{error}; nothing was started") from None
    for name, value, least, most in (
        ("a soak", request.soak, 0.0, _LONGEST_SOAK),
        ("the time to watch a new release", request.watch, 1.0, 86400.0),
        ("the patience with a computer", request.patience, request.watch, 7 * 86400.0),
    ):
        if not least <= value <= most:
            raise BadInput(f"{name} lasts from {least:.0f} s to {most:.0f} s, not {value:g} s; nothing was started")
    if not 0 <= request.failed <= 1:
        raise BadInput("the share of a wave that may fail lies between 0% and 100%; nothing was started")
    if not 1 <= request.at_once <= 100_000:
        raise BadInput("from 1 to 100000 computers may be under way at once; nothing was started")
    return shares


def _options(request: StartRequest, waves: Sequence[Wave], chosen: Chosen) -> dict[str, Any]:
    return {
        "groups": list(request.groups),
        "policies": list(request.policies),
        "named": list(request.computers),
        "soak": request.soak,
        "failed": request.failed,
        "watch": request.watch,
        "patience": request.patience,
        "at_once": request.at_once,
        "waves": _sizes(waves),
        "left": {why: list(names) for why, names in chosen.left.items()},
        "there": chosen.there,
        # Failures that somebody has read, by wave.
        "accepted": {},
    }


def _sizes(waves: Sequence[Wave]) -> list[dict[str, Any]]:
    return [{"layer": Layer(wave.layer).value, "share": wave.share, "size": len(wave.hosts)} for wave in waves]


def _nothing(target: ComponentVersion, chosen: Chosen) -> str:
    said = [f"{some(names)}: {why}" for why, names in chosen.left.items()]
    if chosen.there:
        said.insert(0, f"{chosen.there} run {target} or newer already")
    return f"no computer can be upgraded to {target} ({'; '.join(said) or 'none was chosen'}); nothing was started"
