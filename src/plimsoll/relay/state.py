"""Which floor a relay holds, kept in ``relay.json`` (R7, R14, R17).

A policy that was sent decides. A relay that was never sent one holds the default of the release that it was activated
with, also after an upgrade: the newer default would cut off its old agents unasked.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from plimsoll import RELEASE
from plimsoll.fleet.relay_floor import relay_floor, version_default
from plimsoll.messages import FloorOrigin, FloorReport, Policy
from plimsoll.tls.versions import Version

FILE = "relay.json"


class Folder(Protocol):
    """The home folder as the relay needs it; `write` returns once the file is durable."""

    def read(self, name: str) -> bytes | None: ...

    def write(self, name: str, data: bytes) -> None: ...


class RelayState(msgspec.Struct, kw_only=True):
    """The content of ``relay.json``. `floor` is what was held when it was written, and `origin` why.

    `sent` is the floor of the policy last sent, `kept` the one that an upgrade found here.
    """

    software: str = ""
    floor: Version | None = None
    origin: FloorOrigin | None = None
    sent: Version | None = None
    kept: Version | None = None
    generation: int = 0
    since: float = 0.0


class RelayStateError(Exception):
    """``relay.json`` cannot be read: a relay that does not know its floor must not open its port."""


class RelayFloorKeeper:
    """Holds the relay's floor across policies, restarts and upgrades."""

    def __init__(self, folder: Folder, state: RelayState) -> None:
        self._folder = folder
        self._state = state

    @classmethod
    def open(cls, folder: Folder, *, activated_with: str, now: float, software: str = RELEASE) -> RelayFloorKeeper:
        """Reads the state, and takes over what an earlier release held.

        `activated_with` is the release that last wrote the home: its default was in force where no state was written.
        """
        data = folder.read(FILE)
        try:
            state = RelayState(software=activated_with) if data is None else msgspec.json.decode(data, type=RelayState)
        except msgspec.MsgspecError as error:
            raise RelayStateError(
                f"{FILE} is damaged ({error}), so the relay's floor is not known and its port stays closed; nothing "
                "was changed. Restore the file from a backup, or remove it and send the relay's policy again"
            ) from None
        keeper = cls(folder, state)
        if state.software != software:
            if state.sent is None and state.origin is FloorOrigin.POLICY:
                state.sent = state.floor
            if state.sent is None and state.kept is None:
                # relay.json of a release that wrote only the floor, or of one that wrote nothing: what it held stays.
                state.kept = state.floor or version_default(state.software or activated_with)
            state.software = software
        if data is None:
            state.since = now
        keeper._save()
        return keeper

    @property
    def floor(self) -> Version:
        return relay_floor(self._state.software, sent=self._state.sent, kept=self._state.kept).floor

    @property
    def origin(self) -> FloorOrigin:
        return FloorOrigin(relay_floor(self._state.software, sent=self._state.sent, kept=self._state.kept).origin)

    def hold(self, policy: Policy, now: float) -> None:
        """Stores the floor of a policy that was sent; once this returns, a crash cannot take it back."""
        before = self.floor, self.origin
        self._state.sent = policy.relay_floor
        self._state.kept = None
        self._state.generation = policy.generation
        if (self.floor, self.origin) != before:
            self._state.since = now
        self._save()

    def report(self, port: int) -> FloorReport:
        """What the relay says of its floor."""
        state = self._state
        return FloorReport(
            floor=self.floor, origin=self.origin, policy_generation=state.generation, since=state.since, port=port
        )

    def _save(self) -> None:
        self._state.floor, self._state.origin = self.floor, self.origin
        self._folder.write(FILE, msgspec.json.format(msgspec.json.encode(self._state), indent=2))


def held(folder: Folder, *, activated_with: str, port: int) -> FloorReport:
    """What a relay's folder says that it holds, without changing it. Raises RelayStateError."""
    return RelayFloorKeeper.open(_ReadOnly(folder), activated_with=activated_with, now=0.0).report(port)


class _ReadOnly:
    def __init__(self, folder: Folder) -> None:
        self._folder = folder

    def read(self, name: str) -> bytes | None:
        return self._folder.read(name)

    def write(self, name: str, data: bytes) -> None:
        """Nothing: who only asks changes nothing."""
