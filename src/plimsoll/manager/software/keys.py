"""The keys that sign the repository's metadata: files of HOME/software/keys, for their owner only.

They are none of the CA's keys, and none of the release keys. Under a passphrase they are useless to whoever copies the
disk; the manager gets the passphrase from a credential, a file that a service manager shows to it alone.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from plimsoll.manager import config
from plimsoll.manager.ports import ServiceError
from plimsoll.messages import release
from plimsoll.messages.release import ReleaseError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

#: The files: the root key may be taken away (it is needed once a year), the others sign by themselves.
ROOT, TARGETS, ONLINE = "root", "targets", "online"

Passphrase = Callable[[], bytes | None]


class KeyUnusable(ServiceError):  # noqa: N818 - names a condition
    """The key is away, locked, or no key. Nothing was signed."""

    status = 409


def credential(setting: str) -> bytes | None:
    """The passphrase in a file (a path), or in the service manager's credential of that name; None without a setting.

    Raises KeyUnusable where there is a setting and no such file.
    """
    if not setting:
        return None
    path = Path(setting)
    if not path.is_absolute():
        folder = os.environ.get("CREDENTIALS_DIRECTORY")
        if not folder:
            raise KeyUnusable(
                f"softwareCredential={setting} names a credential, and no service manager gave any"
                " (CREDENTIALS_DIRECTORY is not set); nothing was signed"
            )
        path = Path(folder) / setting
    try:
        found = path.read_bytes().rstrip(b"\r\n")
    except OSError as error:
        raise KeyUnusable(f"the credential {path} cannot be read: {error.strerror}; nothing was signed") from None
    if not found:
        raise KeyUnusable(f"the credential {path} is empty; nothing was signed")
    return found


class SigningKeys:
    """One file for each role. What lies there in the open is put under the passphrase once there is one."""

    def __init__(self, folder: Path, passphrase: Passphrase = lambda: None) -> None:
        self.folder = folder
        self._passphrase = passphrase

    def path(self, name: str) -> Path:
        return self.folder / f"{name}.pem"

    def has(self, name: str) -> bool:
        return self.path(name).exists()

    def load(self, name: str) -> Ed25519PrivateKey:
        """Raises KeyUnusable."""
        path = self.path(name)
        try:
            pem = path.read_bytes()
        except FileNotFoundError:
            raise KeyUnusable(f"the {name} key is not on this manager ({path}); nothing was signed") from None
        except OSError as error:
            raise KeyUnusable(f"{path} cannot be read: {error.strerror}; nothing was signed") from None
        secret = self._passphrase()
        try:
            key = release.load_private(pem, secret)
        except ReleaseError as error:
            raise KeyUnusable(f"{path}: {error}; nothing was signed. See softwareCredential=") from None
        if secret and b"ENCRYPTED" not in pem:
            self._write(name, release.private_pem(key, secret))
        return key

    def make(self, name: str) -> Ed25519PrivateKey:
        """A new key in the place of whatever was there. Raises KeyUnusable."""
        pem, _ = release.make_key()
        key = release.load_private(pem)
        self._write(name, release.private_pem(key, self._passphrase()))
        return key

    def move(self, name: str, to: str) -> None:
        """A key that waited takes its place."""
        self.path(name).replace(self.path(to))
        config.sync_directory(self.folder)

    def remove(self, name: str) -> None:
        self.path(name).unlink(missing_ok=True)

    def _write(self, name: str, pem: bytes) -> None:
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            config.write_atomically(self.path(name), pem, 0o600)
        except OSError as error:
            raise KeyUnusable(f"{self.path(name)} could not be written: {error.strerror}; nothing was signed") from None
