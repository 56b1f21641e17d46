"""plimsoll manager backup and restore."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from plimsoll.cli._errors import Code, CommandError
from plimsoll.cli._secrets import PassphraseFile, passphrase
from plimsoll.cli._session import Home, Json, Session, session

File = Annotated[Path, typer.Argument(metavar="FILE", help="The backup.")]


def backup(
    context: typer.Context,
    file: File,
    passphrase_file: PassphraseFile = None,
    without_software: Annotated[
        bool, typer.Option("--without-software", help="Leave out the packages; their names and signatures stay.")
    ] = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Write the store and all keys into one file under a passphrase, while the manager runs."""
    from plimsoll.manager.backup import back_up
    from plimsoll.manager.ports import ServiceError

    used = session(context)
    word = _passphrase(used, passphrase_file, new=True)
    try:
        made = back_up(used.home_dir(home).absolute(), file, word, software=not without_software)
    except ServiceError as error:
        raise CommandError(error.message, Code.USAGE if error.status == 400 else Code.FAILED) from error
    if as_json:
        used.output.json(asdict(made))
        return
    used.output.line(
        f"{made.file}: {made.rows} rows of {made.tables} tables and {made.files} files, {made.bytes} bytes"
    )
    used.output.say("without its passphrase nobody can read it, and nobody can help: keep it elsewhere")


def restore(
    context: typer.Context,
    file: File,
    home: Annotated[Path, typer.Option(metavar="DIR", help="The new home, a folder that is new or empty.")],
    passphrase_file: PassphraseFile = None,
    database: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Where the store goes: sqlite, or an empty postgresql://…")
    ] = "sqlite",
    database_password_file: Annotated[
        str | None, typer.Option(metavar="FILE", help="Its first line is the database's password; - is standard input.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Make a home out of a backup. Where anything is wrong with it, nothing is made."""
    from plimsoll.cli._secrets import first_line
    from plimsoll.manager.ports import ServiceError
    from plimsoll.manager.restore import restore as make

    used = session(context)
    password = None if database_password_file is None else first_line(database_password_file)
    word = _passphrase(used, passphrase_file, new=False)
    try:
        made = make(file, home.absolute(), word, database, password)
    except ServiceError as error:
        raise CommandError(error.message, Code.USAGE if error.status == 400 else Code.FAILED) from error
    if as_json:
        used.output.json(asdict(made))
        return
    when = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(made.created))
    used.output.line(
        f"{made.home} is as it was {when}: {made.rows} rows and {made.files} files, the store in {made.database}"
    )
    if made.paused:
        used.output.say(
            f"{made.paused} changes and upgrades were under way then; they are paused: look, then resume or abort"
        )
    if not made.software:
        used.output.say("the packages are not in it: import them again, plimsoll software list shows which")
    used.output.say("stop the old manager for good: two with one identity would give out certificates of one CA")
    used.output.say("what was revoked, and which tokens were used up, after that time is not known: do it again")
    used.output.say(
        f"start it with: plimsoll manager run --home {made.home}; then: plimsoll computers list --state approval"
    )


def _passphrase(used: Session, file: Path | None, *, new: bool) -> bytes:
    if file is not None and str(file) == "-":
        from plimsoll.cli._secrets import first_line

        return first_line("-").encode()
    found = passphrase(file, None, used.env, ask="Passphrase of the backup", new=new)
    if found is None:
        raise CommandError("a backup has a passphrase: give --passphrase-file, or ask on a terminal", Code.USAGE)
    return found
