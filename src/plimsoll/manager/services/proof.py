"""The proof for an auditor: every point asked from outside, and what was seen signed with a key of its own."""

from __future__ import annotations

import hashlib
import json
import logging
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from plimsoll.manager.ports import Permission, Principal, ServiceError, internal, permits
from plimsoll.manager.services import floor_state
from plimsoll.manager.services.audit import AuditService
from plimsoll.manager.services.changes import ChangesService
from plimsoll.manager.services.core import Core, Unit
from plimsoll.manager.services.exceptions import ExceptionsService, ExceptionView
from plimsoll.manager.services.nodes import NodesService
from plimsoll.manager.services.proof_content import ProofContent, manager_name, story
from plimsoll.manager.services.proof_keys import ProofKeys
from plimsoll.manager.services.proof_shelf import MadeProof, Making, ProofShelf
from plimsoll.manager.services.proving import ProvingService
from plimsoll.manager.services.scope import MarkView, in_scope, views
from plimsoll.manager.store import scope as scope_table
from plimsoll.manager.store.proofs import ProofRecord
from plimsoll.scan.options import FULL
from plimsoll.scan.proof_page import page
from plimsoll.scan.proofs import BUNDLE, key_id, sign
from plimsoll.tls.floors import Point
from plimsoll.tls.versions import Version

log = logging.getLogger(__name__)


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
        nodes: NodesService,
        proving: ProvingService,
        exceptions: ExceptionsService,
        changes: ChangesService,
        audit: AuditService,
    ) -> None:
        self._core = core
        self._proving = proving
        self._exceptions = exceptions
        self._changes = changes
        self._content = ProofContent(core, exceptions, audit)
        self._keys = ProofKeys(core)
        self._shelf = ProofShelf(core, nodes, manager_name(core))
        self._thread: threading.Thread | None = None

    @permits(Permission.FLOORS_READ)
    def begin(self, principal: Principal, change: int | None = None) -> Making:
        """Builds a proof in the background, and keeps it. Raises NotFound, Conflict (one is being made, anywhere)."""
        if change is not None:
            self._changes.get(principal, change)
        making = self._shelf.begin(principal.who, change, uuid.uuid4().hex)
        self._thread = threading.Thread(target=self._make, args=(principal, change), name="proof", daemon=True)
        self._thread.start()
        return making

    def _make(self, principal: Principal, change: int | None) -> None:
        failed = ""
        try:
            proof = self.build(principal, change, self._shelf.progress)
            content = proof.content
            record = ProofRecord(
                content["id"], content["made"], content["by"], proof.verdict, content["counts"],
                content["scope"]["verdict"], change, proof.key,
            )  # fmt: skip
            self._shelf.keep(record, proof.files)
        except ServiceError as error:
            failed = error.message
        except Exception as error:
            log.exception("a proof was not made")
            failed = f"the proof was not made: {error}"
        self._shelf.end(failed)

    @internal
    def recover(self) -> None:
        """The manager begins: a proof that it was making when it ended is told as broken off."""
        self._shelf.recover()

    @internal
    def wait(self, seconds: float = 60.0) -> None:
        """Until no proof is being made here any more."""
        thread = self._thread
        if thread is not None:
            thread.join(seconds)

    @permits(Permission.FLOORS_READ)
    def making(self, principal: Principal) -> Making | None:
        """What is being made now, at any manager, or why the last one failed."""
        return self._shelf.making()

    @permits(Permission.FLOORS_READ)
    def made(self, principal: Principal) -> tuple[MadeProof, ...]:
        """The bundles that are kept, the newest first: at most `proof_shelf.KEPT`."""
        return self._shelf.made()

    @permits(Permission.FLOORS_READ)
    def bundle(self, principal: Principal, proof: str) -> dict[str, bytes]:
        """The files of a bundle that is kept, by name. Raises NotFound."""
        return self._shelf.files(proof)

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
        log_ = None if change is None else story(self._changes.get(principal, change))
        key = self._keys.current()
        marks = self._core.store.read(scope_table.all_marks)
        found = self._proving.prove(
            mode=FULL, thorough=lambda place: in_scope(place.point.value, place.computer, marks), progress=progress
        )
        content = self._content.of(principal.who, found, log_)
        files = sign(content, page(content), key)
        # The bundle names the trail's head, and the trail names the bundle: neither can be exchanged alone.
        said = {"verdict": content["verdict"], "bundle": hashlib.sha256(files[BUNDLE]).hexdigest()}
        self._core.write(lambda unit: unit.audit(principal, "proof.build", content["id"], None, said))
        return SignedProof(files, content, key_id(key.public_key()))

    @permits(Permission.FLOORS_READ)
    def keys(self, principal: Principal) -> tuple[tuple[str, str, bool], ...]:
        """(id, PEM, in use) of the key in use and of those before it."""
        return self._keys.all()

    @permits(Permission.MANAGER_CHANGE)
    def rotate(self, principal: Principal) -> str:
        """A new key signs from now on, at every manager; the public half of the old one is kept. The new id."""

        def work(unit: Unit) -> str:
            old, new = self._keys.rotate(unit)
            unit.audit(principal, "proof.rotate", new, {"key": old}, None)
            return new

        return self._core.write(work)

    @permits(Permission.FLOORS_READ)
    def manager(self, principal: Principal) -> str:
        """What a report calls this manager."""
        return manager_name(self._core)

    @permits(Permission.FLOORS_READ)
    def pci(self, principal: Principal) -> PciReport:
        """Who in scope accepts early TLS, with evidence and date: what the newest proof that is kept saw."""
        marks = self._core.store.read(views)
        floors = self._core.store.read(floor_state.read).floors()
        proof = next(iter(self._shelf.made()), None)
        scope: Mapping[str, Any] = {"verdict": None, "note": "", "places": []}
        seen: dict[tuple[str, str | None, int], Mapping[str, Any]] = {}
        if proof is not None:
            content = json.loads(self._shelf.bundle(proof.id))
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
