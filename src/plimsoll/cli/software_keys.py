"""plimsoll software keys: which release keys count, made and handed on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from plimsoll.cli._errors import Code, CommandError
from plimsoll.cli._output import when
from plimsoll.cli._secrets import Credential, PassphraseFile, load_key, passphrase
from plimsoll.cli._session import Home, Json, Session, group, session

app = group("Release keys: who may sign software for this fleet.")


@app.command("list")
def list_keys(
    context: typer.Context,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write the statement in force there, for 'endorse'.")
    ] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """The keys that count now."""
    used = session(context)
    with used.client(home) as client:
        data = client.get("/api/software/keys")
    if out is not None:
        if data["statement"] is None:
            raise CommandError("no release key is trusted yet; nothing was written", Code.USAGE)
        out.write_text(data["statement"])
    _show(used, data, as_json)


@app.command("trust")
def trust(
    context: typer.Context,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A public key in PEM, or a statement made by 'endorse'.")
    ],
    name: Annotated[str, typer.Option(help="A name for people, for a first key.")] = "",
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Trust a first release key; or take the next statement, signed by a key that is trusted already."""
    used = session(context)
    text = _read(file)
    if "PRIVATE KEY" in text:
        raise CommandError(
            f"{file} is a private key: it belongs where software is signed, never on a manager; nothing was sent",
            Code.USAGE,
        )
    with used.client(home) as client:
        data = client.post("/api/software/keys", {"text": text, "name": name})
    _show(used, data, as_json)


@app.command("make")
def make(
    context: typer.Context,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The private key; its public half is FILE.pub.")],
    passphrase_file: PassphraseFile = None,
    credential: Credential = None,
    plain: Annotated[bool, typer.Option("--no-passphrase", help="Leave the key unprotected.")] = False,
) -> None:
    """Make a release key. Needs no manager; the private half is for whoever builds and signs software."""
    from plimsoll.messages import release

    used = session(context)
    secret = None
    if not plain:
        secret = passphrase(passphrase_file, credential, used.env, ask=f"Passphrase for {out}", new=True)
        if secret is None:
            raise CommandError(
                "a release key wants a passphrase: give --passphrase-file, or --no-passphrase to do without;"
                " nothing was made",
                Code.USAGE,
            )
    pem, public = release.make_key(secret)
    _write_new(out, pem, 0o600)
    shown = out.with_name(f"{out.name}.pub")
    _write_new(shown, release.public_pem(public), 0o644)
    used.output.line(str(shown))
    used.output.say(f"release key {public.id}; trust it on the manager: plimsoll software keys trust {shown}")


@app.command("endorse")
def endorse(
    context: typer.Context,
    current: Annotated[Path, typer.Option(metavar="FILE", help="The statement in force, from 'keys list --out FILE'.")],
    key: Annotated[Path, typer.Option(metavar="FILE", help="The private half of a key that it trusts.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="The next statement, for 'keys trust' on the manager.")],
    add: Annotated[list[Path] | None, typer.Option(metavar="FILE", help="A public key that counts too.")] = None,
    remove: Annotated[list[str] | None, typer.Option(metavar="ID", help="A key that counts no longer.")] = None,
    passphrase_file: PassphraseFile = None,
    credential: Credential = None,
) -> None:
    """Say which keys count from now on, signed by one that counts now. Needs no manager."""
    from plimsoll.messages import release

    used = session(context)
    private = load_key(used.env, key, passphrase_file, credential)
    try:
        before = release.read_trust(_read(current))
        added = [release.load_public(_read(path).encode(), path.stem) for path in add or ()]
        gone = set(remove or ())
        unknown = gone - {known.id for known in before.keys}
        if unknown:
            raise CommandError(f"{current} does not trust {', '.join(sorted(unknown))}; nothing was signed", Code.USAGE)
        keys = {known.id: known for known in (*before.keys, *added) if known.id not in gone}
        statement = release.next_trust(before, list(keys.values()), private)
    except release.ReleaseError as error:
        raise CommandError(f"{error}; nothing was signed", Code.USAGE) from None
    out.write_text(statement.text)
    used.output.line(str(out))
    used.output.say(f"statement {statement.number}: {', '.join(known.id for known in statement.keys)}")


def _show(used: Session, data: dict[str, Any], as_json: bool) -> None:
    if as_json:
        used.output.json(data)
        return
    if not data["keys"]:
        used.output.say("no release key is trusted: no software can be imported. See 'plimsoll software keys trust'")
        return
    rows = [(one["id"], one["name"], one["number"], when(one["since"]), one["who"]) for one in data["keys"]]
    used.output.table(("KEY", "NAME", "SINCE STATEMENT", "TAKEN", "BY"), rows)


def _read(path: Path) -> str:
    try:
        return path.read_text("ascii")
    except UnicodeDecodeError:
        raise CommandError(f"{path} is neither a key nor a statement", Code.USAGE) from None
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}", Code.USAGE) from None


def _write_new(path: Path, data: bytes, mode: int) -> None:
    import os

    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(data)
    except FileExistsError:
        raise CommandError(f"{path} is there already, and is kept; name another file", Code.USAGE) from None
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}; nothing was made", Code.USAGE) from None
