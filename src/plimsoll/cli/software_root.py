"""plimsoll software root: the keys that sign the repository, and the root key in a place of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from plimsoll.cli._errors import Code, CommandError
from plimsoll.cli._output import when
from plimsoll.cli._secrets import Credential, PassphraseFile, load_key
from plimsoll.cli._session import Home, Json, Session, group, session

app = group("The repository's root: which keys sign its metadata, and where the root key lies.")


@app.command("show")
def show(
    context: typer.Context,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write the root in force there, for other sites.")
    ] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Roles, versions, ends and keys; and whether this manager can sign for each."""
    used = session(context)
    with used.client(home) as client:
        data = client.get("/api/software/metadata")
        if out is not None:
            out.write_text(client.get("/api/software/root")["text"])
    if as_json:
        used.output.json(data)
        return
    rows = [
        (
            one["role"],
            one["version"],
            when(one["expires"]),
            f"{one['threshold']} of {len(one['keys'])}",
            [key[:16] for key in one["keys"]],
            one["here"],
        )
        for one in data["roles"]
    ]
    used.output.table(("ROLE", "VERSION", "EXPIRES", "SIGN", "KEYS", "HERE"), rows)
    if data["problem"]:
        used.output.say(f"the metadata could not be signed: {data['problem']}")


@app.command("export")
def export(
    context: typer.Context,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Where to write the next root.")],
    add: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="A public key (PEM) that is a root key too.")
    ] = None,
    remove: Annotated[list[str] | None, typer.Option(metavar="ID", help="A root key that is one no longer.")] = None,
    threshold: Annotated[int | None, typer.Option(metavar="N", help="How many root keys must sign.")] = None,
    days: Annotated[int, typer.Option(metavar="N", help="How long it is good for.")] = 365,
    rotate: Annotated[list[str] | None, typer.Option(metavar="KEY", help="targets or online: a new key.")] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Write the next root, to be signed where the root key lies. Nothing changes until it is imported."""
    used = session(context)
    body: dict[str, object] = {
        "add": [_read(path).decode() for path in add or ()],
        "remove": remove or [],
        "threshold": threshold,
        "days": days,
        "rotate": rotate or [],
    }
    with used.client(home) as client:
        data = client.post("/api/software/root/next", body)
    out.write_text(data.pop("text"))
    _tell(used, data, as_json, f"root {data['version']} is written to {out}")


@app.command("sign")
def sign(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The root that 'export' wrote; signed in place.")],
    key: Annotated[Path, typer.Option(metavar="FILE", help="A private root key.")],
    passphrase_file: PassphraseFile = None,
    credential: Credential = None,
) -> None:
    """Add a signature to a root. Needs no manager."""
    from plimsoll.manager.software import roots

    used = session(context)
    private = load_key(used.env, key, passphrase_file, credential)
    try:
        root = roots.read(_read(file))
        signer = roots.add_signature(root, private)
    except roots.RootError as error:
        raise CommandError(f"{file}: {error}; nothing was signed", Code.USAGE) from None
    if signer not in root.signed.keys:
        raise CommandError(
            f"{key} ({signer[:16]}) is no key that root {root.signed.version} knows: its signature is worth something"
            " only to those who hold a root that does; nothing was written",
            Code.USAGE,
        )
    file.write_bytes(roots.written(root))
    used.output.say(f"root {root.signed.version} is signed by {', '.join(one[:16] for one in root.signatures)}")


@app.command("import")
def take(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The signed root.")],
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Put a root in force that enough keys signed; everything is signed anew with the keys that it names."""
    used = session(context)
    with used.client(home) as client:
        data = client.post("/api/software/root", {"text": _read(file).decode()})
    _tell(used, data, as_json, f"root {data['version']} is in force")


@app.command("rotate")
def rotate(
    context: typer.Context,
    names: Annotated[list[str], typer.Argument(metavar="KEY…", help="targets, online.")],
    home: Home = None,
    as_json: Json = False,
) -> None:
    """New keys for these roles at once, where the root key lies on the manager."""
    used = session(context)
    with used.client(home) as client:
        made = client.post("/api/software/root/next", {"rotate": names})
        if any(made["missing"]):
            raise CommandError(
                "the root key is not on this manager; nothing was changed. Use 'plimsoll software root export"
                f" {' '.join(f'--rotate {name}' for name in names)} --out FILE', and sign it where the key lies",
                Code.REFUSED,
            )
        data = client.post("/api/software/root", {"text": made["text"]})
    _tell(used, data, as_json, f"root {data['version']} is in force, with new keys for {', '.join(names)}")


def _tell(used: Session, data: dict[str, Any], as_json: bool, text: str) -> None:
    if as_json:
        used.output.json(data)
        return
    used.output.say(text)
    old, own = data["missing"]
    if old or own:
        used.output.say(f"it lacks {old} signatures by keys of the root in force, and {own} by its own")
        used.output.detail("sign it with 'plimsoll software root sign FILE --key KEY', then import it")


def _read(path: Path) -> bytes:
    try:
        data = path.read_bytes()
        data.decode()
    except UnicodeDecodeError:
        raise CommandError(f"{path} is no text", Code.USAGE) from None
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}", Code.USAGE) from None
    return data
