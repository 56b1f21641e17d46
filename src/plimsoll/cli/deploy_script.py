"""plimsoll deploy-script: a script that installs and activates an agent on a host."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Any

import typer

from plimsoll.cli._errors import Code, CommandError
from plimsoll.cli._output import Output, when
from plimsoll.cli._session import Home, Json, session

_DURATION = re.compile(r"(\d{1,9})([smhd]?)")
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}
_SYSTEMS = ("linux", "windows")


def command(
    context: typer.Context,
    system: Annotated[str, typer.Argument(metavar="linux|windows", help="What the hosts run.")] = "linux",
    version: Annotated[str | None, typer.Option(help="The agent's version; else the newest that may.")] = None,
    relay: Annotated[bool, typer.Option("--relay", help="The computers carry the relay role too.")] = False,
    policy: Annotated[int | None, typer.Option(metavar="ID", help="Their policy; else the base policy.")] = None,
    group: Annotated[int | None, typer.Option(metavar="ID", help="Their computer group.")] = None,
    relay_group: Annotated[int | None, typer.Option(metavar="ID", help="Their relay group.")] = None,
    display_name: Annotated[str, typer.Option(help="A name to show; for a script that is for one host.")] = "",
    token_ttl: Annotated[str, typer.Option(metavar="TIME", help="How long its token is valid: 30m, 12h, 7d.")] = "1d",
    token_uses: Annotated[int, typer.Option(min=0, help="How many computers it activates; 0 is any number.")] = 0,
    token: Annotated[str, typer.Option(help="A token that exists, instead of a new one.")] = "",
    no_activation: Annotated[bool, typer.Option("--no-activation", help="Install only.")] = False,
    manager: Annotated[str, typer.Option(metavar="NAME", help="The manager's name for these hosts.")] = "",
    ca_file: Annotated[Path | None, typer.Option(metavar="FILE", help="Trust this CA for 4119.")] = None,
    system_trust: Annotated[bool, typer.Option("--system-trust", help="Trust what the host trusts for 4119.")] = False,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Trust anything at 4119; the package's digest is still checked.")
    ] = False,
    workaround: Annotated[
        str, typer.Option(metavar="rpm|dpkg|windows", help="For hosts with old programs: from a web server of yours.")
    ] = "",
    base_url: Annotated[str, typer.Option(metavar="URL", help="With --workaround: where the package lies.")] = "",
    file: Annotated[str, typer.Option(metavar="NAME", help="With --workaround: its name there.")] = "",
    platform: Annotated[str, typer.Option(help="Only packages for this system: Debian_12, RedHat_EL8 …")] = "",
    architecture: Annotated[str, typer.Option(help="Only packages for this one: x86_64, i386 …")] = "",
    unchecked: Annotated[
        bool, typer.Option("--unchecked", help="With --workaround: a package that the manager does not have.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Make no script; list what can be deployed under the floors of now.")
    ] = False,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write it there, for its owner only.")] = None,
    home: Home = None,
    as_json: Json = False,
) -> int:
    """Make a script that installs an agent and activates it; it holds a token, so keep it to yourself."""
    used = session(context)
    if system not in _SYSTEMS:
        raise CommandError(f"a script is for {' or '.join(_SYSTEMS)}, not {system!r}", Code.USAGE)
    if check:
        with used.client(home) as client:
            asked = {"version": version, "platform": platform or None, "relay": str(relay).lower()}
            data = client.get("/api/agentdeploymentscripts/preflight", **asked)
        if as_json:
            used.output.json(data)
        else:
            _table(used.output, data["packages"])
        return Code.OK if all(one["deployable"] for one in data["packages"]) else Code.BLOCKERS
    if sum((ca_file is not None, system_trust, insecure)) > 1:
        raise CommandError("--ca-file, --system-trust and --insecure exclude each other", Code.USAGE)
    body: dict[str, object] = {
        "platform": system,
        "validateCertificateRequired": not insecure,
        "activationRequired": not no_activation,
        "policyID": policy,
        "computerGroupID": group,
        "relayGroupID": relay_group,
        "relay": relay,
        "displayName": display_name,
        "manager": manager,
        "trust": "system" if system_trust else None,
        "caCertificate": _read(ca_file) if ca_file else "",
        "token": token,
        "tokenTTL": _seconds(token_ttl),
        "tokenUses": token_uses,
        "agentVersion": version or "",
        "workaround": workaround,
        "baseURL": base_url,
        "packagePlatform": platform,
        "packageArchitecture": architecture,
        "packageFile": file,
        "unchecked": unchecked,
    }
    with used.client(home) as client:
        data = client.post("/api/agentdeploymentscripts", body)
    if as_json:
        used.output.json(data)
        return Code.OK
    _deliver(used.output, data, out)
    _tell(used.output, data)
    return Code.OK


def _deliver(output: Output, data: dict[str, Any], out: Path | None) -> None:
    script = data["scriptBody"]
    if out is None:
        output.out.write(script)
        output.out.flush()
        return
    try:
        descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as opened:
            os.fchmod(opened.fileno(), 0o700)
            opened.write(script.encode())
    except OSError as error:
        raise CommandError(f"{out}: {error.strerror}", Code.USAGE) from None
    output.line(str(out))


def _tell(output: Output, data: dict[str, Any]) -> None:
    for one in data["packages"]:
        output.say(f"installs agent {one['version']} on {one['platform']} {one['architecture']} ({one['file']})")
    if data["tokenID"]:
        uses = data["tokenUses"] or "any number of"
        output.say(
            f"its activation token {data['tokenID']} is good until {when(data['tokenExpires'])} for {uses} computers:"
            " whoever has the script has the token"
        )
    for note in data["notes"]:
        output.say(f"note: {note}")


def _table(output: Output, packages: list[dict[str, Any]]) -> None:
    if not packages:
        output.say("there is no such agent package; 'plimsoll software import FILE' takes some in")
        return
    rows = []
    for one in packages:
        package = one["package"]
        stands = [f"{found['point']} {found['port']}: {found['floor']}" for found in one["obstacles"]]
        can = "yes" if one["deployable"] else "no"
        rows.append((package["version"], package["platform"], package["architecture"], one["speaks"], can, stands))
    output.table(("VERSION", "PLATFORM", "ARCH", "SPEAKS", "DEPLOYABLE", "REFUSED BY"), rows)
    if any(one["obstacles"] for one in packages):
        output.say("to deploy those, allow early TLS where they are refused, or deploy 10.0 and newer")


def _seconds(text: str) -> int:
    match = _DURATION.fullmatch(text.strip().lower())
    if match is None or not int(match[1]):
        raise CommandError(f"--token-ttl is a time like 30m, 12h or 7d, not {text!r}", Code.USAGE)
    return int(match[1]) * _SECONDS[match[2]]


def _read(path: Path) -> str:
    try:
        return path.read_text("ascii")
    except UnicodeDecodeError:
        raise CommandError(f"{path} is no certificate in PEM", Code.USAGE) from None
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}", Code.USAGE) from None
