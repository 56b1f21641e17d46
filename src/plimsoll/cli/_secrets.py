"""Passphrases of keys: from a file, a service manager's credential, or a terminal; never from the command line."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from plimsoll.cli._errors import Code, CommandError

PassphraseFile = Annotated[
    Path | None, typer.Option("--passphrase-file", metavar="FILE", help="File with the key's passphrase.")
]
Credential = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="The passphrase is this systemd credential, below $CREDENTIALS_DIRECTORY."),
]


def passphrase(
    file: Path | None, credential: str | None, env: Mapping[str, str], *, ask: str | None = None, new: bool = False
) -> bytes | None:
    """The passphrase, or None where there is none. `ask` is the question on a terminal; a `new` one is asked twice."""
    if file is not None and credential is not None:
        raise CommandError("give --passphrase-file or --credential, not both", Code.USAGE)
    if credential is not None:
        folder = env.get("CREDENTIALS_DIRECTORY")
        if not folder or "/" in credential:
            raise CommandError(
                f"there is no credential {credential!r}: $CREDENTIALS_DIRECTORY is set by a service manager"
                " (LoadCredential=)",
                Code.USAGE,
            )
        file = Path(folder) / credential
    if file is not None:
        try:
            found = file.read_bytes().rstrip(b"\r\n")
        except OSError as error:
            raise CommandError(f"{file}: {error.strerror}", Code.USAGE) from None
        if not found:
            raise CommandError(f"{file} is empty; a passphrase is not", Code.USAGE)
        return found
    if ask is not None and sys.stdin.isatty():
        return _asked(ask, new)
    return None


def first_line(name: str) -> str:
    """The first line of a file, or of standard input (``-``): a password of the database."""
    try:
        text = sys.stdin.readline() if name == "-" else Path(name).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{name} was not read: {error}; nothing was changed") from error
    line = text.partition("\n")[0].rstrip("\r")
    if not line:
        raise CommandError(f"{name} has no password in its first line; nothing was changed")
    return line


def load_key(env: Mapping[str, str], key: Path, passphrase_file: Path | None, credential: str | None) -> Any:
    """A private release key, its passphrase asked for where it has one."""
    from plimsoll.messages import release

    try:
        pem = key.read_bytes()
    except OSError as error:
        raise CommandError(f"{key}: {error.strerror}", Code.USAGE) from None
    ask = f"Passphrase of {key}" if b"ENCRYPTED" in pem else None
    try:
        return release.load_private(pem, passphrase(passphrase_file, credential, env, ask=ask))
    except release.ReleaseError as error:
        raise CommandError(f"{key}: {error}; nothing was signed", Code.USAGE) from None


def _asked(question: str, new: bool) -> bytes | None:
    import getpass

    first = getpass.getpass(f"{question}: ")
    if new and first != getpass.getpass("The same again: "):
        raise CommandError("the two were not the same; nothing was made", Code.USAGE)
    return first.encode() or None
