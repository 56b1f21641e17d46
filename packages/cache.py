"""What is slow to make is kept by what it was made of, and appears in one step."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path


class PackagesError(Exception):
    """A package cannot be made. The message says what was wrong and what to do next; nothing half-made is left."""


def root() -> Path:
    """Where downloads and built interpreters are kept between runs; it may be deleted at any time."""
    place = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "plimsoll-packages"
    place.mkdir(parents=True, exist_ok=True)
    return place


def digest_of(parts: Iterable[bytes | str | Path]) -> str:
    """SHA-256 over texts and files' contents, in their order; 24 hex digits are enough to tell our own apart."""
    total = hashlib.sha256()
    for part in parts:
        data = part.read_bytes() if isinstance(part, Path) else part if isinstance(part, bytes) else part.encode()
        total.update(hashlib.sha256(data).digest())
    return total.hexdigest()[:24]


def sha256_of(path: Path) -> str:
    """The file's SHA-256, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def appearing(folder: Path) -> Iterator[Path]:
    """A new folder to fill, which takes its name only once it is whole; a former one is replaced."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        yield fresh
        fresh.chmod(0o755)
        if folder.exists():
            shutil.rmtree(folder)
        fresh.rename(folder)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise


@contextmanager
def alone(name: str) -> Iterator[None]:
    """One builder at a time: a second waits, and finds the work done."""
    with (root() / f"{name}.lock").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def say(line: str) -> None:
    """Progress, for people, on standard error."""
    sys.stderr.write(f"packages: {line}\n")
    sys.stderr.flush()
