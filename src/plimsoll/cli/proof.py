"""plimsoll proof: evidence for an auditor, signed, and checked without a manager."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from plimsoll.cli._errors import Code, CommandError
from plimsoll.cli._output import when
from plimsoll.cli._session import Home, Json, group, session

app = group("Proof by handshake: every port asked from outside, and what was seen signed.", alone=True)

#: Seconds for a look at a whole fleet; a port that is silent takes its time-out.
_PATIENCE = 900.0
_SCOPED = {"does not hold": Code.BLOCKERS, "not proved": Code.NOT_PROVED}
_CODES = {"proved": Code.OK, "violated": Code.BLOCKERS, "not proved": Code.NOT_PROVED}


@app.callback()
def build(
    context: typer.Context,
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="A new or empty folder for it.")] = None,
    change: Annotated[int | None, typer.Option(metavar="ID", help="With the log of this change in it.")] = None,
    home: Home = None,
    as_json: Json = False,
) -> int:
    """Probe every point now and write a signed bundle. Exit code 0 proved, 3 violated, 4 not proved."""
    if context.invoked_subcommand is not None:
        return Code.OK
    from plimsoll.scan.proofs import ProofError, write

    if out is None:
        raise CommandError("say where to: plimsoll proof --out DIR", Code.USAGE)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise CommandError(f"{out} is not empty; nothing was asked and nothing written", Code.USAGE)
    used = session(context)
    if not as_json:
        used.output.say("asks every port of the fleet; this takes a moment")
    with used.client(home) as client:
        data = client.post("/api/tls/proofs", {"change": change}, patience=_PATIENCE)
    try:
        write(out, {name: text.encode() for name, text in data.pop("files").items()})
    except ProofError as error:
        raise CommandError(str(error)) from None
    if as_json:
        used.output.json(data | {"folder": str(out)})
        return _code(data)
    counts = data["counts"]
    used.output.line(
        f"{data['verdict']}: {counts['proved']} ports proved, {counts['violated']} violated,"
        f" {counts['not proved']} not proved"
    )
    for one in data["open"]:
        used.output.line(f"  {one['verdict']}: {one['point']} of {one['name']}: {'; '.join(one['reasons'])}")
    if data["scope"] is not None:
        used.output.line(f"in the scope of PCI DSS: {data['scope']}")
    used.output.line(f"written to {out}, signed with key {data['key']}")
    return _code(data)


def _code(data: dict[str, Any]) -> Code:
    """The worse of the floors' verdict and that of what is in scope."""
    codes = {_CODES[data["verdict"]], _SCOPED.get(data["scope"], Code.OK)}
    return next((code for code in (Code.BLOCKERS, Code.NOT_PROVED) if code in codes), Code.OK)


@app.command("verify")
def verify(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The bundle.")],
    key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The manager's public key, which came to you another way.")
    ] = None,
    as_json: Json = False,
) -> int:
    """Check a bundle, offline. Exit code 0: signed with that key and unchanged; 3: changed; 4: unchanged, but whose
    key it is was not checked, as none was given.
    """
    from plimsoll.scan.proofs import ProofError, check, load_public

    used = session(context)
    try:
        trusted = None if key is None else load_public(key.read_bytes())
        found = check(folder, trusted)
    except ProofError as error:
        raise CommandError(str(error), Code.USAGE) from None
    except OSError as error:
        raise CommandError(f"{key}: {error.strerror}", Code.USAGE) from None
    code = Code.BLOCKERS if found.faults else Code.OK if found.known else Code.NOT_PROVED
    if as_json:
        used.output.json(
            {"whole": found.whole, "keyGiven": found.known, "key": found.key_id, "faults": list(found.faults)}
        )
        return code
    for fault in found.faults:
        used.output.line(f"FAULT: {fault}")
    if found.faults:
        used.output.line("this bundle is not what was signed: it proves nothing")
        return code
    _tell(used.output.line, found.content)
    if found.known:
        used.output.line(f"unchanged, and signed with the given key {found.key_id}")
    else:
        used.output.line(f"unchanged since it was signed with key {found.key_id}")
        used.output.line("whose key that is was not checked: compare it with 'plimsoll proof key', or give --key")
    return code


@app.command("key")
def key(
    context: typer.Context,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write the public key there.")] = None,
    rotate: Annotated[bool, typer.Option("--rotate", help="Sign with a new key from now on.")] = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """The public keys that proofs are signed with: the one in use, and those before it."""
    used = session(context)
    with used.client(home) as client:
        if rotate:
            client.post("/api/tls/proofs/keys")
        data = client.get("/api/tls/proofs/keys")
    if out is not None:
        out.write_text(next(one["pem"] for one in data["keys"] if one["inUse"]))
    if as_json:
        used.output.json(data)
        return
    used.output.table(("KEY", "IN USE"), [(one["id"], one["inUse"]) for one in data["keys"]])


def _tell(line: Any, content: Any) -> None:
    counts = content["counts"]
    line(f"{content['manager']['name']}, {when(content['made'])}: {content['verdict']}")
    for one in content["floors"]:
        since = f" since {when(one['since'])}, by {one['who']}" if one["since"] else ""
        line(f"  {one['point']}: {one['floor']}{since}")
    line(f"  ports: {counts['proved']} proved, {counts['violated']} violated, {counts['not proved']} not proved")
