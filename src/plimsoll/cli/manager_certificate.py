"""plimsoll manager certificate: the certificate that 4119 shows to browsers and programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from plimsoll.cli._errors import Code, CommandError
from plimsoll.cli._output import when
from plimsoll.cli._session import Home, Json, Session, group, session

app = group("The certificate of 4119.")


@app.command("show")
def show(context: typer.Context, home: Home = None, as_json: Json = False) -> None:
    """What 4119 shows now."""
    used = session(context)
    with used.client(home) as client:
        data = client.get("/api/manager/certificate")
    _show(used, data, as_json)


def _show(used: Session, data: dict[str, Any], as_json: bool) -> None:
    if as_json:
        used.output.json(data)
        return
    rows = [
        (
            one["subject"],
            one["names"],
            one["key"],
            "own" if one["own"] else one["issuer"],
            when(one["notAfter"]),
            one["fingerprint"],
        )
        for one in data["certificates"]
    ]
    used.output.table(("SUBJECT", "NAMES", "KEY", "ISSUED BY", "VALID UNTIL", "FINGERPRINT"), rows)


@app.command("set")
def replace(
    context: typer.Context,
    chain: Annotated[Path, typer.Argument(help="PEM, the manager's certificate first, then its issuers.")],
    key: Annotated[Path | None, typer.Option(help="PEM key; without it, that of the last 'csr'.")] = None,
    passphrase_file: Annotated[Path | None, typer.Option(help="File with the key's passphrase.")] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Use a certificate of your own; it is shown to the next connection, without a restart."""
    used = session(context)
    body: dict[str, object] = {"certificate": _read(chain)}
    if key is not None:
        body["key"] = _read(key)
    if passphrase_file is not None:
        body["passphrase"] = _read(passphrase_file).rstrip("\n")
    with used.client(home) as client:
        data = client.post("/api/manager/certificate", body)
    _show(used, data, as_json)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{path} was not read: {error}", Code.USAGE) from error


@app.command("csr")
def request(
    context: typer.Context,
    subject: Annotated[str, typer.Option(help="Subject, such as CN=dsm.example.com.")] = "",
    name: Annotated[list[str] | None, typer.Option(help="DNS name or address; repeatable.")] = None,
    key_type: Annotated[str, typer.Option(help="ecdsa or rsa.")] = "ecdsa",
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Make a new key in the home and print a PEM request for it."""
    used = session(context)
    body = {"subject": subject, "names": name or [], "keyType": key_type}
    with used.client(home) as client:
        data = client.post("/api/manager/certificate/csr", body)
    if as_json:
        used.output.json(data)
    else:
        used.output.line(str(data["csr"]).rstrip("\n"))
