"""The identities of a large simulated fleet, packed in three files: a hundred thousand folders would cost more to
open than the heartbeats cost to send.

`fleet.json` is written last: a folder with it is whole. The keys are as secret as an agent's; so is the folder.
"""

from __future__ import annotations

import array
import mmap
import os
import ssl
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import msgspec

from plimsoll.messages import Policy

_HEAD = "fleet.json"
_IDENTITIES = "identities.pem"
_PLACES = "identities.idx"


class FleetHead(msgspec.Struct):
    """What all of a fleet have in common. `ca` is what they trust (PEM), `trusts` how they name it to the manager."""

    installation: str
    ca: str
    trusts: list[str]
    policy: Policy
    version: str
    prefix: str
    count: int = 0


class FleetWriter:
    """Makes a fleet's folder, identity by identity. Use with ``with``; raises ValueError where the folder has one."""

    def __init__(self, folder: Path) -> None:
        if folder.exists() and any(folder.iterdir()):
            raise ValueError(f"{folder} is not empty; nothing was changed. Name a folder that is new or empty")
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder = folder
        self._places = array.array("Q", [0])
        self._file: BinaryIO = os.fdopen(
            os.open(folder / _IDENTITIES, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600), "wb"
        )

    def add(self, identities: Iterable[str]) -> None:
        """Each is a certificate with its key, PEM."""
        for identity in identities:
            self._file.write(identity.encode())
            self._places.append(self._file.tell())

    def finish(self, head: FleetHead) -> None:
        """All are there."""
        self._file.flush()
        head.count = len(self._places) - 1
        _write(self._folder / _PLACES, self._places.tobytes())
        _write(self._folder / _HEAD, msgspec.json.encode(head))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


def _write(path: Path, data: bytes) -> None:
    with os.fdopen(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)


class Fleet:
    """A fleet's folder, read. Raises ValueError where there is none, or one that is not whole."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            self.head = msgspec.json.decode((folder / _HEAD).read_bytes(), type=FleetHead)
            self._places = array.array("Q", (folder / _PLACES).read_bytes())
            with (folder / _IDENTITIES).open("rb") as file:
                self._identities = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except OSError as error:
            raise ValueError(f"{folder} holds no fleet ({error.strerror}); make one with --seed-home") from None
        except (msgspec.MsgspecError, ValueError) as error:
            raise ValueError(f"{folder} holds no whole fleet ({error}); make a new one with --seed-home") from None
        if len(self._places) != self.head.count + 1 or self._places[-1] != len(self._identities):
            raise ValueError(f"{folder} holds no whole fleet; make a new one with --seed-home")

    def __len__(self) -> int:
        return self.head.count

    def identity(self, number: int) -> memoryview:
        """The certificate and the key of one of them, PEM."""
        return memoryview(self._identities)[self._places[number] : self._places[number + 1]]


class PackedCredentials:
    """One identity of a fleet, for `wrap`. OpenSSL reads from files only: this one is in memory and has no name."""

    __slots__ = ("_descriptor", "_fleet", "_number")

    def __init__(self, fleet: Fleet, number: int, descriptor: int) -> None:
        self._fleet = fleet
        self._number = number
        self._descriptor = descriptor

    def load(self, context: ssl.SSLContext) -> None:
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, self._fleet.identity(self._number), 0)
        context.load_cert_chain(f"/proc/self/fd/{self._descriptor}")


def memory_file() -> int:
    """A file for `PackedCredentials`, of this process alone."""
    return os.memfd_create("plimsoll-identity", os.MFD_CLOEXEC)
