"""plimsoll software: packages that a trusted release key signed, for agents to be upgraded and deployed from."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Annotated, Any

import typer

from plimsoll.cli import software_keys, software_root
from plimsoll.cli._errors import Code, CommandError
from plimsoll.cli._output import when
from plimsoll.cli._secrets import Credential, PassphraseFile, load_key
from plimsoll.cli._session import Home, Json, Session, group, session

app = group("Software packages: signed, imported, listed, handed out.")
app.add_typer(software_keys.app, name="keys")
app.add_typer(software_root.app, name="root")

_COLUMNS = ("ID", "PRODUCT", "VERSION", "PLATFORM", "ARCH", "FILE", "BYTES", "IMPORTED", "BY", "KEY")
_PIECE = 1 << 20

Platform = Annotated[str | None, typer.Option(help="Only for this platform: Debian_12, RedHat_EL8, Windows, Linux …")]
Architecture = Annotated[str | None, typer.Option(help="Only for this architecture: x86_64, i386, aarch64 …")]


@app.command("import")
def import_file(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The package: deb, rpm, msi, an archive; or a .bundle.")],
    signature: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Its release signature; else FILE.sig beside it.")
    ] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Take a package in, or a bundle. It needs a release signature by a trusted key, or nothing of it is kept."""
    used = session(context)
    if file.suffix == ".bundle":
        _import_bundle(used, file, home, as_json)
        return
    beside = signature or file.with_name(f"{file.name}.sig")
    text = _read(beside, f"a package comes with its release signature, {beside}; 'plimsoll software sign' makes one")
    try:
        length = file.stat().st_size
        with file.open("rb") as opened, used.client(home) as client:
            known = client.post("/api/software/check", {"signature": text})["known"]
            if known is not None:
                data = known | {"new": False}
            else:
                header = {"release-signature": base64.b64encode(text.encode()).decode()}
                data = client.upload("/api/software", opened, length, header)
    except OSError as error:
        raise CommandError(f"{file}: {error.strerror}; nothing was kept", Code.USAGE) from None
    if as_json:
        used.output.json(data)
        return
    if not data["new"]:
        used.output.say(f"this very package is here already, as number {data['id']}; nothing was changed")
    used.output.table(_COLUMNS, [_row(data)])


def _import_bundle(used: Session, file: Path, home: Path | None, as_json: bool) -> None:
    try:
        with file.open("rb") as opened, used.client(home) as client:
            data = client.upload("/api/software/bundles", opened, file.stat().st_size, {})
    except OSError as error:
        raise CommandError(f"{file}: {error.strerror}; nothing was kept", Code.USAGE) from None
    if as_json:
        used.output.json(data)
        return
    new = sum(one["new"] for one in data["software"])
    used.output.say(f"{new} of {len(data['software'])} packages are new; the others were here already")
    used.output.table(_COLUMNS, map(_row, data["software"]))


@app.command("list")
def list_software(
    context: typer.Context,
    product: Annotated[str | None, typer.Option(help="Only this product: agent, manager, capabilities.")] = None,
    platform: Platform = None,
    architecture: Architecture = None,
    version: Annotated[str | None, typer.Option(help="Only this version.")] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """What there is, by platform and architecture; of each, the newest version first."""
    used = session(context)
    with used.client(home) as client:
        data = client.get(
            "/api/software", product=product, platform=platform, architecture=architecture, version=version
        )
    if as_json:
        used.output.json(data)
        return
    if not data["software"]:
        used.output.say("there is no such software; 'plimsoll software import FILE' takes some in")
        return
    used.output.table(_COLUMNS, map(_row, data["software"]))
    for one in data["software"]:
        if not one["held"]:
            used.output.say(f"the file of package {one['id']} is missing on the manager's disk; import it again")


@app.command("delete")
def delete(
    context: typer.Context,
    package: Annotated[int, typer.Argument(metavar="ID", help="The package's number.")],
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Offer a package no longer, and remove its file."""
    used = session(context)
    with used.client(home) as client:
        data = client.delete(f"/api/software/{package}")
    if as_json:
        used.output.json(data)
    else:
        used.output.say(f"{_name(data)} ({data['file']}) is deleted")


@app.command("export")
def export(
    context: typer.Context,
    platform: Annotated[str, typer.Option(help="The system: Debian_12, RedHat_EL8, Windows, Linux …")],
    architecture: Annotated[str, typer.Option(help="x86_64, i386, aarch64 …")] = "x86_64",
    version: Annotated[str | None, typer.Option(help="This version; else the newest there is.")] = None,
    product: Annotated[str, typer.Option(help="agent or manager.")] = "agent",
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where to.")] = Path(),
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Write the package for a system, and its release signature, into a folder: for a web server of your own."""
    used = session(context)
    with used.client(home) as client:
        found = client.get(
            "/api/software/newest", platform=platform, architecture=architecture, version=version, product=product
        )
        path = out / found["file"]
        _write(path, found, client)
    path.with_name(f"{path.name}.sig").write_text(found["signature"])
    if as_json:
        used.output.json(found | {"path": str(path)})
        return
    used.output.line(str(path))
    used.output.say(f"{_name(found)}, {found['length']} bytes, SHA-256 {found['sha256']}")


@app.command("sign")
def sign(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The package.")],
    key: Annotated[Path, typer.Option(metavar="FILE", help="The private release key.")],
    version: Annotated[str, typer.Option(help="Its version, such as 12.1.0 or 10.0 Update 8.")],
    platform: Annotated[str, typer.Option(help="What it is for: Debian_12, RedHat_EL8, Windows, Linux …")],
    architecture: Annotated[str, typer.Option(help="x86_64, i386, aarch64 …")] = "x86_64",
    product: Annotated[str, typer.Option(help="agent, manager or capabilities.")] = "agent",
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Else FILE.sig beside it.")] = None,
    passphrase_file: PassphraseFile = None,
    credential: Credential = None,
) -> None:
    """Make a release signature: needs no manager, and is best done where the key lies, far from one."""
    import hashlib

    from plimsoll.messages import release

    used = session(context)
    private = load_key(used.env, key, passphrase_file, credential)
    try:
        with file.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
        said = release.Release(
            product=product, version=version, platform=platform, architecture=architecture, file=file.name,
            length=file.stat().st_size, sha256=digest,
        )  # fmt: skip
        text = release.sign(said, private)
    except OSError as error:
        raise CommandError(f"{file}: {error.strerror}; nothing was signed", Code.USAGE) from None
    except release.ReleaseError as error:
        raise CommandError(f"{error}; nothing was signed", Code.USAGE) from None
    path = out or file.with_name(f"{file.name}.sig")
    path.write_text(text)
    used.output.line(str(path))
    used.output.say(f"{said}: signed with release key {release.public_of(private).id}")


@app.command("bundle")
def bundle(
    context: typer.Context,
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="Packages, each with FILE.sig beside it.")],
    key: Annotated[Path, typer.Option(metavar="FILE", help="The private release key.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="The bundle; its name ends with .bundle.")],
    passphrase_file: PassphraseFile = None,
    credential: Credential = None,
) -> None:
    """One signed file with several packages, and a capability table if you like: for a site without internet."""
    from plimsoll.messages import bundle as bundles
    from plimsoll.messages import release

    used = session(context)
    if out.suffix != bundles.SUFFIX:
        raise CommandError(f"{out}: a bundle's name ends with {bundles.SUFFIX}; nothing was written", Code.USAGE)
    private = load_key(used.env, key, passphrase_file, credential)
    hint = "'plimsoll software sign' makes one"
    packages = [(file, _read(file.with_name(f"{file.name}.sig"), hint)) for file in files]
    part = out.with_name(f".{out.name}.part")
    try:
        with part.open("wb") as opened:
            said = bundles.write(opened, packages, private)
        part.replace(out)
    except OSError as error:
        raise CommandError(f"{error.filename or out}: {error.strerror}; nothing was written", Code.USAGE) from None
    except release.ReleaseError as error:
        raise CommandError(f"{error}; nothing was written", Code.USAGE) from None
    finally:
        part.unlink(missing_ok=True)
    used.output.line(str(out))
    used.output.say(f"{len(said)} packages, the index signed with release key {release.public_of(private).id}")


def _write(path: Path, found: dict[str, Any], client: Any) -> None:
    """The file, under its name only once it is whole."""
    import hashlib

    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as opened:
            client.download(f"/api/software/{found['id']}/file", opened)
        with part.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
        if digest != found["sha256"]:
            raise CommandError(f"{path.name} did not arrive as it was signed; nothing was written. Try again")
        part.replace(path)
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}", Code.USAGE) from None
    finally:
        part.unlink(missing_ok=True)


def _read(path: Path, hint: str) -> str:
    try:
        return path.read_text("ascii")
    except UnicodeDecodeError:
        raise CommandError(f"{path} is no release signature; nothing was kept", Code.USAGE) from None
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}; {hint}", Code.USAGE) from None


def _name(one: dict[str, Any]) -> str:
    return f"{one['product']} {one['version']} for {one['platform']} {one['architecture']}"


def _row(one: dict[str, Any]) -> tuple[object, ...]:
    return (
        one["id"],
        one["product"],
        one["version"],
        one["platform"],
        one["architecture"],
        one["file"],
        one["length"],
        when(one["imported"]),
        one["who"],
        one["key"],
    )
