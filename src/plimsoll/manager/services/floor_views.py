"""The shapes in which floors leave the services."""

from __future__ import annotations

from dataclasses import dataclass

from plimsoll.fleet.preflight import Preflight
from plimsoll.tls.cipher_profiles import CipherProfile
from plimsoll.tls.floors import Point
from plimsoll.tls.versions import Version


@dataclass(frozen=True, slots=True)
class PointView:
    """One point. `overrides` are sub-policies with a relay or agent floor of their own: (policy name, floor).

    `ports` are those where it is enforced: the manager's own, else those of the computers that listen, the most common
    first, or the default where none does. `profile` is the cipher profile, at the manager's own points.
    """

    point: Point
    ports: tuple[int, ...]
    floor: Version
    policies_pending: int = 0
    overrides: tuple[tuple[str, Version], ...] = ()
    profile: CipherProfile | None = None

    @property
    def port(self) -> int:
        return self.ports[0]


@dataclass(frozen=True, slots=True)
class Drift:
    """A hand edit of ``protocols=`` that is not yet in force. `floor` is None where the edit cannot be read."""

    in_file: str | None
    in_force: str | None
    floor: Version | None
    message: str


@dataclass(frozen=True, slots=True)
class FloorsView:
    generation: int
    floors: tuple[PointView, ...]
    drift: Drift | None
    minimum: Version


@dataclass(frozen=True, slots=True)
class FileView:
    """configuration.properties at `path`, as far as it decides a floor (R15). `protocols` is the line that is in force
    at 4119, None where there is none.
    """

    path: str
    protocols: str | None
    drift: Drift | None


@dataclass(frozen=True, slots=True)
class MinimumView:
    """What ShowValue shows (R13): `lowest` is the lower of 4120's and 4119's floor."""

    heartbeat: Version
    gui: Version
    lowest: Version


@dataclass(frozen=True, slots=True)
class PointChange:
    point: Point
    before: Version
    after: Version


@dataclass(frozen=True, slots=True)
class FloorChange:
    """What a set or a reload did. `pending_policies` counts computers that wait for Send Policy (R14)."""

    changed: tuple[PointChange, ...]
    preflight: Preflight | None
    pending_policies: int
    generation: int
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FloorHistoryEntry:
    """`cause` is set, edit (of the file), init or upgrade. `named` lists the blockers that were overridden.

    At the points relay and agent `policy` says whose floor it is.
    """

    generation: int
    time: float
    point: Point
    before: Version | None
    after: Version
    who: str
    via: str
    address: str
    cause: str
    forced: bool
    reason: str | None
    named: tuple[str, ...]
    policy: str | None = None


@dataclass(frozen=True, slots=True)
class ReloadResult:
    """`needs_restart` names keys that were changed and are read only at start; `unknown` keys are kept untouched."""

    change: FloorChange
    needs_restart: tuple[str, ...]
    unknown: tuple[str, ...]
