"""What the store may hold but nobody should read out of it: sealed with a key that lies in the home, not in the store.

A copy of the database, or a look into one that runs elsewhere, then gives nobody a secret that he could use. Whoever
has both has them all: the home is its owner's alone.
"""

from __future__ import annotations

import base64
import os
import threading
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from plimsoll.manager.config import write_atomically
from plimsoll.manager.ports import Conflict

#: In the home, mode 0600: 256 bits in base64.
KEY_FILE = "secrets.key"
#: NIST SP 800-38D, 8.2: the size of a nonce for AES-GCM. Random ones are safe for 2^32 texts with one key.
_NONCE = 12


class Sealer:
    """AES-256-GCM with the key of one home, which is made when something is sealed for the first time."""

    def __init__(self, home: Path) -> None:
        self._path = home / KEY_FILE
        self._making = threading.Lock()

    def begin(self) -> None:
        """Makes the key where there is none yet: before it is copied to a further manager's home."""
        self._key(make=True)

    def seal(self, text: str, about: str) -> str:
        """`about` says what the text is and whose: sealed, it cannot be moved to another place."""
        nonce = os.urandom(_NONCE)
        sealed = nonce + AESGCM(self._key(make=True)).encrypt(nonce, text.encode(), about.encode())
        return base64.urlsafe_b64encode(sealed).decode()

    def open(self, sealed: str, about: str) -> str:
        """Raises Conflict where it was sealed with another key, about something else, or was changed."""
        try:
            raw = base64.urlsafe_b64decode(sealed)
            return AESGCM(self._key()).decrypt(raw[:_NONCE], raw[_NONCE:], about.encode()).decode()
        except (InvalidTag, ValueError, OSError):
            raise Conflict(
                f"a secret in the store cannot be read with {KEY_FILE} of this home; nothing was changed. Bring that"
                " file back from the backup that belongs to the database, or set the secret anew"
            ) from None

    def _key(self, *, make: bool = False) -> bytes:
        with self._making:
            if make and not self._path.exists():
                write_atomically(self._path, base64.b64encode(AESGCM.generate_key(256)) + b"\n", 0o600)
            return base64.b64decode(self._path.read_bytes(), validate=False)
