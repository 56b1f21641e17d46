"""The proof for an auditor: every point asked from outside, and what was seen signed with a key of its own."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from plimsoll import RELEASE
from plimsoll.manager import config
from plimsoll.manager.ports import (
    BadInput,
    Conflict,
    NotFound,
    Permission,
    Principal,
    ServiceError,
    Unavailable,
    internal,
    permits,
)
from plimsoll.manager.services import floor_state
from plimsoll.manager.services.audit import AuditService
from plimsoll.manager.services.changes import ChangesService
from plimsoll.manager.services.ciphers import OWN
from plimsoll.manager.services.core import Core, Unit
from plimsoll.manager.services.exceptions import ExceptionsService, ExceptionView
from plimsoll.manager.services.proving import Proved, ProvingService, overall
from plimsoll.manager.store import Connection
from plimsoll.manager.store import computers as computer_table
from plimsoll.manager.store import floors as floor_table
from plimsoll.manager.store import scope as scope_table
from plimsoll.manager.store import shadow as shadow_table
from plimsoll.manager.store.computers import ComputerRecord
from plimsoll.scan.judgement import Verdict
from plimsoll.scan.options import FULL
from plimsoll.scan.profiles import judge
from plimsoll.scan.proof_page import page
from plimsoll.scan.proofs import BUNDLE, KEY, MANIFEST, PAGE, SCHEMA, SIGNATURE, key_id, public_pem, sign, write
from plimsoll.tls.cipher_profiles import DEFAULT
from plimsoll.tls.floors import Point
from plimsoll.tls.versions import Version

log = logging.getLogger(__name__)

PCI = "pci-dss-4.0.1"
FOLDER = "proof"
_SIGNING = "signing.pem"
#: How many bundles the manager keeps for the console to download.
KEPT = 30
_HISTORY = 50
_NOTE = 500


@dataclass(frozen=True, slots=True)
class MarkView:
    """What is in scope: a point of every computer, or a computer with all of its ports."""

    id: int
    point: str | None
    computer: str | None
    name: str | None
    note: str
    who: str
    created: float


@dataclass(frozen=True, slots=True)
class SignedProof:
    """A bundle's files by name, the verdict over all ports, and the key that signed it."""

    files: Mapping[str, bytes]
    content: Mapping[str, Any]
    key: str

    @property
    def verdict(self) -> str:
        return str(self.content["verdict"])


@dataclass(frozen=True, slots=True)
class MadeProof:
    """A bundle that the manager keeps. `scope` is the verdict over what is in scope, None where nothing was marked."""

    id: str
    made: float
    by: str
    verdict: str
    counts: Mapping[str, int]
    scope: str | None
    change: int | None
    key: str


@dataclass(frozen=True, slots=True)
class Making:
    """A proof that is being made: how many of the ports were asked. `failed` says why the last one was not made."""

    by: str
    since: float
    change: int | None
    done: int = 0
    of: int = 0
    failed: str = ""


@dataclass(frozen=True, slots=True)
class PciPlace:
    """A port in scope, or a computer that opens none, as the newest proof saw it.

    `accepted` are the versions that a handshake agreed on, `early` those of them below TLS 1.2; `verdict` is what the
    profile of PCI DSS says, `findings` why. `evidence` is what was seen, for each early version that was accepted.
    """

    point: str
    name: str
    computer: str | None
    address: str
    port: int
    verdict: str
    findings: tuple[str, ...]
    accepted: tuple[str, ...]
    early: tuple[str, ...]
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PciReport:
    """What is in scope now, and what the newest proof saw of it. `proof` is None where none was made yet.

    `fresh` are marks that are newer than that proof: nothing was asked of them. `floors` are those of the points,
    `exceptions` those in force that let somebody below TLS 1.2 in at a point in scope.
    """

    marks: tuple[MarkView, ...]
    fresh: tuple[MarkView, ...]
    proof: MadeProof | None
    verdict: str | None
    note: str
    places: tuple[PciPlace, ...]
    floors: Mapping[Point, Version]
    exceptions: tuple[ExceptionView, ...]


class ProofService:
    def __init__(
        self,
        core: Core,
        proving: ProvingService,
        exceptions: ExceptionsService,
        changes: ChangesService,
        audit: AuditService,
    ) -> None:
        self._core = core
        self._proving = proving
        self._exceptions = exceptions
        self._changes = changes
        self._audit = audit
        self._making = threading.Lock()
        self._jobs = threading.Lock()
        self._job: Making | None = None
        self._thread: threading.Thread | None = None

    @permits(Permission.FLOORS_READ)
    def begin(self, principal: Principal, change: int | None = None) -> Making:
        """Builds a proof in the background, and keeps it in the home. Raises NotFound, Conflict (one is being made)."""
        if change is not None:
            self._changes.get(principal, change)
        with self._jobs:
            if self._job is not None and not self._job.failed:
                raise Conflict("a proof is being made already; nothing was started. It is done in a moment")
            self._job = job = Making(principal.who, self._core.clock(), change)
            self._thread = threading.Thread(target=self._make, args=(principal, job), name="proof", daemon=True)
            self._thread.start()
        return job

    def _make(self, principal: Principal, job: Making) -> None:
        def progress(done: int, of: int) -> None:
            with self._jobs:
                self._job = replace(job, done=done, of=of)

        try:
            self._keep(self.build(principal, job.change, progress), job.change)
            over = None
        except ServiceError as error:
            over = replace(job, failed=error.message)
        except Exception as error:
            log.exception("a proof was not made")
            over = replace(job, failed=f"the proof was not made: {error}")
        with self._jobs:
            self._job = over

    @internal
    def wait(self, seconds: float = 60.0) -> None:
        """Until no proof is being made any more."""
        thread = self._thread
        if thread is not None:
            thread.join(seconds)

    @permits(Permission.FLOORS_READ)
    def making(self, principal: Principal) -> Making | None:
        """What is being made now, or why the last one failed."""
        return self._job

    @permits(Permission.FLOORS_READ)
    def made(self, principal: Principal) -> tuple[MadeProof, ...]:
        """The bundles that this manager keeps, the newest first: at most `KEPT`."""
        return tuple(MadeProof(**said) for said in self._summaries())

    @permits(Permission.FLOORS_READ)
    def bundle(self, principal: Principal, proof: str) -> dict[str, bytes]:
        """The files of a bundle that is kept, by name. Raises NotFound."""
        if proof not in {said["id"] for said in self._summaries()}:
            raise NotFound(f"there is no proof {proof!r}: the newest {KEPT} are kept")
        folder = self._kept / proof
        try:
            return {name: (folder / name).read_bytes() for name in (BUNDLE, PAGE, MANIFEST, SIGNATURE, KEY)}
        except OSError as error:
            raise Unavailable(f"the proof {proof} cannot be read: {error.strerror}") from None

    @property
    def _kept(self) -> Path:
        return self._folder / "bundles"

    def _keep(self, proof: SignedProof, change: int | None) -> None:
        """Writes the bundle, then its summary, which is what makes it known; the oldest ones go."""
        content = proof.content
        identifier = str(content["id"])
        summary = {
            "id": identifier,
            "made": content["made"],
            "by": content["by"],
            "verdict": proof.verdict,
            "counts": content["counts"],
            "scope": content["scope"]["verdict"],
            "change": change,
            "key": proof.key,
        }
        try:
            self._kept.mkdir(mode=0o700, exist_ok=True)
            write(self._kept / identifier, proof.files)
            config.write_atomically(self._kept / f"{identifier}.json", json.dumps(summary).encode(), 0o600)
            for old in self._summaries()[KEPT:]:
                (self._kept / f"{old['id']}.json").unlink(missing_ok=True)
                shutil.rmtree(self._kept / old["id"], ignore_errors=True)
        except OSError as error:
            raise Unavailable(f"the proof could not be kept: {error.strerror}; it is in no list") from None

    def _summaries(self) -> list[dict[str, Any]]:
        found = []
        for path in self._kept.glob("*.json"):
            try:
                found.append(json.loads(path.read_text()))
            except (OSError, ValueError):
                log.warning("the summary %s of a proof cannot be read", path.name)
        return sorted(found, key=lambda said: (-said["made"], said["id"]))

    @permits(Permission.FLOORS_READ)
    def build(
        self,
        principal: Principal,
        change: int | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> SignedProof:
        """Asks every port and signs what it saw. Takes seconds. With a change's number, its log stands in it too.

        Raises NotFound for an unknown change, Unavailable where the key cannot be read or made.
        """
        story = None if change is None else _story(self._changes.get(principal, change))
        key = self._key()
        marks = self._core.store.read(scope_table.all_marks)
        found = self._proving.prove(
            mode=FULL, thorough=lambda place: in_scope(place.point.value, place.computer, marks), progress=progress
        )
        content = self._content(principal, found, story)
        files = sign(content, page(content), key)
        # The bundle names the trail's head, and the trail names the bundle: neither can be exchanged alone.
        said = {"verdict": content["verdict"], "bundle": hashlib.sha256(files[BUNDLE]).hexdigest()}
        self._core.write(lambda unit: unit.audit(principal, "proof.build", content["id"], None, said))
        return SignedProof(files, content, key_id(key.public_key()))

    @permits(Permission.FLOORS_READ)
    def keys(self, principal: Principal) -> tuple[tuple[str, str, bool], ...]:
        """(id, PEM, in use) of the key in use and of those before it."""
        current = self._key().public_key()
        found = [(key_id(current), public_pem(current).decode(), True)]
        folder = self._folder / "retired"
        if folder.is_dir():
            found += [(path.stem, path.read_text(), False) for path in sorted(folder.glob("*.pem"))]
        return tuple(found)

    @permits(Permission.MANAGER_CHANGE)
    def rotate(self, principal: Principal) -> str:
        """A new key signs from now on; the public half of the old one is kept, for what it signed. The new id."""
        old = self._key().public_key()
        retired = self._folder / "retired"
        with self._making:
            retired.mkdir(mode=0o700, exist_ok=True)
            config.write_atomically(retired / f"{key_id(old)}.pem", public_pem(old), 0o600)
            new = self._make_key()
        identifier = key_id(new.public_key())
        self._core.write(lambda unit: unit.audit(principal, "proof.rotate", identifier, {"key": key_id(old)}, None))
        return identifier

    # -- what is in scope (R10)

    @permits(Permission.FLOORS_READ)
    def scope(self, principal: Principal) -> tuple[MarkView, ...]:
        return self._core.store.read(_marks)

    @permits(Permission.FLOORS_CHANGE)
    def mark(
        self, principal: Principal, *, point: str | None = None, computer: str | None = None, note: str = ""
    ) -> tuple[MarkView, ...]:
        """Marks a point, or a computer by id, as in the scope of PCI DSS."""
        where = _one(point, computer)
        if len(note) > _NOTE:
            raise BadInput(f"a note has at most {_NOTE} characters; nothing was changed")

        def work(unit: Unit) -> None:
            if computer is not None and computer_table.get(unit.connection, computer) is None:
                raise NotFound(f"there is no computer {computer!r}; nothing was changed")
            if scope_table.find(unit.connection, point, computer) is not None:
                raise Conflict(f"{where} is in scope already; nothing was changed")
            scope_table.add(unit.connection, point, computer, note.strip(), principal.who, unit.now)
            unit.audit(principal, "scope.add", where, None, {"note": note.strip()})

        self._core.write(work)
        return self._core.store.read(_marks)

    @permits(Permission.FLOORS_CHANGE)
    def unmark(
        self, principal: Principal, *, point: str | None = None, computer: str | None = None
    ) -> tuple[MarkView, ...]:
        where = _one(point, computer)

        def work(unit: Unit) -> None:
            known = scope_table.find(unit.connection, point, computer)
            if known is None:
                raise NotFound(f"{where} is not marked as in scope; nothing was changed")
            scope_table.remove(unit.connection, known.id)
            unit.audit(principal, "scope.remove", where, {"note": known.note}, None)

        self._core.write(work)
        return self._core.store.read(_marks)

    @permits(Permission.FLOORS_READ)
    def manager(self, principal: Principal) -> str:
        """What a report calls this manager."""
        return self._core.home.config.public_name or os.uname().nodename

    @permits(Permission.FLOORS_READ)
    def pci(self, principal: Principal) -> PciReport:
        """Who in scope accepts early TLS, with evidence and date: what the newest proof that is kept saw."""
        marks = self._core.store.read(_marks)
        floors = self._core.store.read(floor_state.read).floors()
        proof = next(iter(self.made(principal)), None)
        scope: Mapping[str, Any] = {"verdict": None, "note": "", "places": []}
        seen: dict[tuple[str, str | None, int], Mapping[str, Any]] = {}
        if proof is not None:
            content = self._content_kept(proof.id)
            scope = content["scope"]
            seen = {(one["point"], one["computer"], one["port"]): one for one in content["places"]}
        points = {mark.point for mark in marks}
        early = tuple(
            view for view in self._exceptions.in_force() if view.point.value in points and view.floor < Version.TLS1_2
        )
        known = (points, {mark.computer for mark in marks if mark.computer})
        return PciReport(
            marks=marks,
            fresh=tuple(mark for mark in marks if proof is None or mark.created > proof.made),
            proof=proof,
            verdict=scope["verdict"],
            note=scope["note"],
            places=tuple(
                _pci_place(one, seen.get((one["point"], one["computer"], one["port"])))
                for one in scope["places"]
                if one["point"] in known[0] or one["computer"] in known[1]
            ),
            floors=floors,
            exceptions=early,
        )

    def _content_kept(self, proof: str) -> dict[str, Any]:
        """Raises Unavailable."""
        try:
            content: dict[str, Any] = json.loads((self._kept / proof / BUNDLE).read_bytes())
        except (OSError, ValueError) as error:
            raise Unavailable(f"the proof {proof} cannot be read: {error}") from None
        return content

    # -- what a bundle says

    @internal
    def content_of(self, principal: Principal, found: Sequence[Proved]) -> dict[str, Any]:
        """The content without a change."""
        return self._content(principal, found, None)

    def _content(self, principal: Principal, found: Sequence[Proved], change: dict[str, Any] | None) -> dict[str, Any]:
        def work(connection: Connection) -> tuple[Any, ...]:
            return (
                floor_state.read(connection).floors(),
                floor_state.profiles(connection),
                floor_table.history(connection, 1000),
                marks := scope_table.all_marks(connection),
                shadow_table.read(connection),
                computer_table.find(connection, ids=[one.computer for one in marks if one.computer]),
            )

        floors, profiles, history, marks, shadows, computers = self._core.store.read(work)
        excused = self._exceptions.in_force()
        verified = self._audit.walk()
        head = verified.head
        moved = {}
        for row in reversed(history):
            moved[row.point] = row
        counts = {word: sum(one.verdict == word for one in found) for word in ("proved", "violated", "not proved")}
        return {
            "schema": SCHEMA,
            "id": uuid.uuid4().hex,
            "made": self._core.clock(),
            "by": principal.who,
            "manager": {
                "name": self._core.home.config.public_name or os.uname().nodename,
                "installation": self._core.home.installation,
                "release": RELEASE,
            },
            "verdict": overall(found),
            "counts": counts,
            "floors": [
                {
                    "point": point.value,
                    "floor": floors[point].value,
                    "ciphers": profiles.get(point, DEFAULT).value if point in OWN else None,
                    "since": row.time if (row := moved.get(point.value)) else None,
                    "who": row.who if row else None,
                    "reason": row.reason if row else None,
                }
                for point in Point
            ],
            "places": [one.as_json() for one in found],
            "exceptions": [
                {
                    "id": view.id,
                    "for": view.source or view.name or view.computer,
                    "point": view.point.value,
                    "floor": view.floor.value,
                    "until": view.until,
                    "reason": view.reason,
                    "who": view.who,
                }
                for view in excused
            ],
            "shadow": [{"point": one.point, "floor": one.floor.value, "since": one.since} for one in shadows.values()],
            "scope": _scope(found, marks, excused, computers),
            "change": change,
            "history": [
                {
                    "time": row.time,
                    "point": row.point,
                    "from": row.before.value if row.before else None,
                    "to": row.floor.value,
                    "who": row.who,
                    "reason": row.reason,
                    "cause": row.cause,
                }
                for row in history[:_HISTORY]
            ],
            "audit": {
                "whole": verified.ok,
                "entry": None if head is None else head.entry,
                "hash": None if head is None else head.hash,
            },
        }

    # -- the key

    @property
    def _folder(self) -> Path:
        return self._core.home.path / FOLDER

    def _key(self) -> Ed25519PrivateKey:
        path = self._folder / _SIGNING
        with self._making:
            if not path.exists():
                return self._make_key()
        try:
            key = load_pem_private_key(path.read_bytes(), password=None)
        except (ValueError, OSError) as error:
            raise Unavailable(f"the signing key {path} cannot be read: {error}; nothing was signed") from None
        if not isinstance(key, Ed25519PrivateKey):
            raise Unavailable(f"{path} is no Ed25519 key; nothing was signed")
        return key

    def _make_key(self) -> Ed25519PrivateKey:
        key = Ed25519PrivateKey.generate()
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            config.write_atomically(self._folder / _SIGNING, pem, 0o600)
        except OSError as error:
            raise Unavailable(f"the signing key could not be written: {error.strerror}; nothing was signed") from None
        return key


def _story(view: Any) -> dict[str, Any]:
    return {
        "id": view.id,
        "to": view.target.value,
        "points": view.options["points"],
        "state": view.state,
        "who": view.who,
        "approvedBy": view.approved_by,
        "text": view.text,
        "named": view.options["named"],
        "log": [asdict(entry) for entry in view.log],
    }


def _one(point: str | None, computer: str | None) -> str:
    if (point is None) == (computer is None):
        raise BadInput("say either a point or a computer; nothing was changed")
    if point is not None and point not in {known.value for known in Point}:
        names = ", ".join(known.value for known in Point)
        raise BadInput(f"unknown point {point!r}; valid are {names}. Nothing was changed")
    return point or computer or ""


def _marks(connection: Connection) -> tuple[MarkView, ...]:
    views = []
    for mark in scope_table.all_marks(connection):
        known = None if mark.computer is None else computer_table.get(connection, mark.computer)
        name = None if known is None else known.display
        views.append(MarkView(mark.id, mark.point, mark.computer, name, mark.note, mark.who, mark.created))
    return tuple(views)


def in_scope(point: str, computer: str | None, marks: Sequence[scope_table.MarkRecord]) -> bool:
    """Whether a port is marked, by its point or by its computer."""
    return any(mark.point == point or (mark.computer is not None and mark.computer == computer) for mark in marks)


def _scope(
    found: Sequence[Proved],
    marks: Sequence[scope_table.MarkRecord],
    excused: Sequence[ExceptionView],
    computers: Sequence[ComputerRecord],
) -> dict[str, Any]:
    """The section of its own: each port in scope, judged by PCI DSS, and computers in scope that open none."""
    places: list[dict[str, Any]] = []
    for one in found:
        if not in_scope(one.place.point.value, one.place.computer, marks):
            continue
        verdict, findings = "not proved", list(one.reasons)
        if one.report is not None and one.report.accepted:
            judged = judge(one.report, PCI)
            verdict = judged.verdict.value
            findings = [f"{f.rule.sentence}: {'; '.join(f.reasons)}" for f in (*judged.failed, *judged.open)]
        early = [view for view in excused if view.point is one.place.point and view.floor < Version.TLS1_2]
        if early:
            verdict = Verdict.FAILS.value
            findings += [f"exception {view.id} lets {view.source or view.name} use {view.floor}" for view in early]
        place = one.place
        places.append(
            {
                "point": place.point.value, "name": place.name, "computer": place.computer, "address": place.address,
                "port": place.port, "verdict": verdict, "findings": findings,
            }
        )  # fmt: skip
    seen = {one.place.computer for one in found}
    places += [portless(one) for one in computers if one.id not in seen]
    return {
        "profile": PCI,
        "verdict": Verdict.of_all(Verdict(one["verdict"]) for one in places).value if places else None,
        "note": "what a handshake can show of requirement 4.2.1; inventories and revocation are not judged",
        "marks": [{"point": mark.point, "computer": mark.computer, "note": mark.note} for mark in marks],
        "places": places,
    }


def _pci_place(one: Mapping[str, Any], seen: Mapping[str, Any] | None) -> PciPlace:
    accepted = tuple(seen["accepted"]) if seen else ()
    early = tuple(name for name in accepted if Version(name) < Version.TLS1_2)
    evidence = tuple(
        f"{name}: {'; '.join(seen['versions'].get(name, {}).get('evidence', ())) or 'a handshake was agreed on'}"
        for name in early
    ) if seen else ()  # fmt: skip
    return PciPlace(
        one["point"], one["name"], one["computer"], one["address"] or "", one["port"], one["verdict"],
        tuple(one["findings"]), accepted, early, evidence,
    )  # fmt: skip


def portless(one: ComputerRecord) -> dict[str, Any]:
    """A computer in scope that opens no port: its own handshakes are all there is to judge."""
    verdict, said = Verdict.NOT_PROVED, "it opens no port, and no handshake of its own was seen"
    if one.negotiated is not None:
        verdict = Verdict.HOLDS if one.negotiated >= Version.TLS1_2 else Verdict.FAILS
        said = f"it opens no port; its own last handshake settled on {one.negotiated}"
    return {
        "point": "-", "name": one.display, "computer": one.id, "address": one.address, "port": 0,
        "verdict": verdict.value, "findings": [said],
    }  # fmt: skip
