"""Deployment scripts and the packages that they download (R20–R22): made for a floor, and refused where one forbids.

Rules of this file: what a floor would keep out is named before anything is downloaded; a script is checked whole before
its token is made; a token stands in the script and nowhere else.
"""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from cryptography import x509

from plimsoll import RELEASE
from plimsoll.fleet.component import ComponentVersion, UnknownComponentVersionError
from plimsoll.manager.deploy import platforms, quoting, scripts
from plimsoll.manager.deploy.scripts import Activating, PackageRow, Source
from plimsoll.manager.ports import BadInput, NotFound, Permission, Principal, internal, permits
from plimsoll.manager.services import assignment
from plimsoll.manager.services.deployable import Deployable, excepted, judge, said, undeployable
from plimsoll.manager.store import groups as group_table
from plimsoll.manager.store import policies as policy_table
from plimsoll.messages import Kind
from plimsoll.messages.token import ActivationToken, TokenError
from plimsoll.tls.floors import Point
from plimsoll.tls.versions import Version

if TYPE_CHECKING:
    from plimsoll.manager.services.activation import ActivationService
    from plimsoll.manager.services.certificates import CertificatesService
    from plimsoll.manager.services.core import Core, Unit
    from plimsoll.manager.services.floors import FloorsService
    from plimsoll.manager.services.software import SoftwareService, SoftwareView

DAY = 86400.0
#: Scripts that are kept for long carry their token for long: the shortest useful life is the default.
TOKEN_SECONDS = DAY

#: The workarounds of R22, and the kind of package that each installs.
WORKAROUNDS = {"rpm": "rpm", "dpkg": "deb", "windows": "msi"}

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
_BASE_URL = re.compile(r"https?://[^\s/?#]+(/[^?#]*)?", re.IGNORECASE)
_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+~-]{0,127}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptRequest:
    """What an administrator wants of a script. Policy and groups: a number or a name, empty for none.

    `verify` None trusts what 4119 shows: the manager's own CA, or what the host trusts where 4119 has another
    certificate. `token_uses` None is any number. `manager` is the name or address by which hosts reach the manager.
    """

    system: Literal["linux", "windows"] = "linux"
    workaround: str = ""
    base_url: str = ""
    file: str = ""
    platform: str = ""
    architecture: str = ""
    version: str = ""
    unchecked: bool = False
    activate: bool = True
    relay: bool = False
    policy: str = ""
    group: str = ""
    relay_group: str = ""
    display_name: str = ""
    manager: str = ""
    verify: scripts.Verify | None = None
    ca: str = ""
    token: str = ""
    token_seconds: float = TOKEN_SECONDS
    token_uses: int | None = None


@dataclass(frozen=True, slots=True)
class Script:
    """A script; `notes` are what whoever runs it should know. The token's id and end, where one was made for it."""

    text: str
    name: str
    packages: tuple[SoftwareView, ...]
    notes: tuple[str, ...] = ()
    token_id: str = ""
    token_expires: float | None = None
    token_uses: int | None = None


class DeploymentService:
    def __init__(
        self,
        core: Core,
        floors: FloorsService,
        software: SoftwareService,
        activation: ActivationService,
        certificates: CertificatesService,
    ) -> None:
        self._core = core
        self._floors = floors
        self._software = software
        self._activation = activation
        self._certificates = certificates

    # -- what can be deployed

    @permits(Permission.SOFTWARE_READ)
    def preflight(
        self, principal: Principal, *, version: str | None = None, platform: str | None = None, relay: bool = False
    ) -> tuple[Deployable, ...]:
        """Every agent package, with the floors that stand in its way. Raises BadInput."""
        found = self._software.list(principal, product="agent", platform=platform, version=version)
        snapshot = self._floors.snapshot()
        return tuple(judge(one, snapshot, self._core.clock(), relay=relay) for one in found if one.held)

    @permits(Permission.SOFTWARE_READ)
    def host(self, principal: Principal) -> str:
        """The name by which hosts reach this manager, where a script says no other."""
        return self._host("")

    @internal
    def find(
        self, platform: str, architecture: str, version: str, file: str, address: str, *, controlled: bool
    ) -> tuple[SoftwareView, Path]:
        """The package that a host at that address asks for. `controlled` takes the newest that can be deployed.

        Raises BadInput (a file that is no package), NotFound, Undeployable.
        """
        kind = platforms.format_of(file) if file else _usual_format(platform)
        if not kind:
            raise BadInput(f"{file!r} is no package: its name ends with {', '.join(platforms.FORMATS)}")
        wanted = _version_of(version)
        fit = [
            one
            for one in self._packages(wanted)
            if one.architecture == architecture and platforms.format_of(one.file) == kind
        ]
        snapshot = self._floors.snapshot()
        refused: Deployable | None = None
        for name in platforms.candidates(platform):
            for one in (one for one in fit if one.platform == name):
                judged = judge(one, snapshot, self._core.clock(), address=address)
                if judged.obstacles:
                    refused = refused or judged
                    if controlled and not wanted:
                        continue
                    raise undeployable([judged])
                path = self._software.path_of(one.sha256)
                if path is not None:
                    return one, path
        if refused is not None:
            raise undeployable([refused])
        which = f"agent {wanted}" if wanted else "agent"
        raise NotFound(f"there is no {which} (.{kind}) for {platform} {architecture} on this manager")

    # -- scripts

    @permits(Permission.TOKENS_CHANGE)
    def make(self, principal: Principal, wanted: ScriptRequest) -> Script:
        """A script for a host. Raises BadInput, NotFound, Undeployable; no token was made then."""
        wanted = self._checked(wanted)
        notes: list[str] = []
        packages = self._chosen(wanted, notes)
        how = self._placed(wanted)
        render = self._renderer(wanted, packages, notes)
        try:
            render(how)
        except quoting.UnquotableError as error:
            raise BadInput(str(error)) from None
        script = Script("", f"plimsoll-deploy.{'ps1' if _windows(wanted) else 'sh'}", tuple(packages), tuple(notes))
        if not wanted.activate:
            return self._recorded(principal, wanted, replace(script, text=render(how)))
        if wanted.token:
            how = replace(how, token=wanted.token)
            return self._recorded(principal, wanted, replace(script, text=render(how)))
        kind = Kind.RELAY if wanted.relay else Kind.AGENT
        made = self._activation.create_token(principal, wanted.token_uses, wanted.token_seconds, kind)
        often = "any number of computers" if made.uses is None else f"{made.uses} computers"
        when = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(made.expires))
        how = replace(how, token=made.token, until=f"until {when}, {often}")
        script = replace(script, text=render(how), token_id=made.id, token_expires=made.expires, token_uses=made.uses)
        return self._recorded(principal, wanted, script)

    @internal
    def detection(self) -> str:
        """The platform detection that the reference's own scripts fetch."""
        return scripts.detection()

    # -- parts of these

    def _recorded(self, principal: Principal, wanted: ScriptRequest, script: Script) -> Script:
        after = {
            "system": wanted.system,
            "workaround": wanted.workaround,
            "packages": [one.target for one in script.packages],
            "relay": wanted.relay,
            "policy": wanted.policy,
            "verify": wanted.verify,
            "token": script.token_id,
        }

        def work(unit: Unit) -> None:
            unit.audit(principal, "deployment.script", script.name, None, after)

        self._core.write(work)
        return script

    def _checked(self, wanted: ScriptRequest) -> ScriptRequest:
        """The same, where every value is fit; `verify` and `manager` are settled."""
        if wanted.workaround:
            if wanted.workaround not in WORKAROUNDS:
                there = ", ".join(WORKAROUNDS)
                raise BadInput(f"there is no workaround {wanted.workaround!r}; no script was made. There is {there}")
            if (wanted.workaround == "windows") != (wanted.system == "windows"):
                raise BadInput(f"the workaround {wanted.workaround} is not for {wanted.system}; no script was made")
            if _BASE_URL.fullmatch(wanted.base_url) is None:
                raise BadInput(
                    "a workaround downloads from a web server of yours: give its base URL, http://HOST/FOLDER, without"
                    " query; no script was made"
                )
            if wanted.file and _FILE.fullmatch(wanted.file) is None:
                raise BadInput(f"{wanted.file!r} is no plain file name; no script was made")
        elif wanted.base_url or wanted.file or wanted.unchecked:
            raise BadInput("a base URL belongs to a workaround: rpm, dpkg or windows; no script was made")
        if wanted.token:
            wanted = replace(wanted, token=self._own_token(wanted.token))
        if _windows(wanted) and ('"' in wanted.display_name or wanted.display_name.endswith("\\")):
            # What older PowerShells make of these on the way to a program is not what was meant.
            raise BadInput(
                "on Windows a display name has no double quote, and no backslash at its end; no script was made"
            )
        ca, verify = wanted.ca, wanted.verify
        if ca:
            ca, verify = _certificates(ca), verify or "ca"
        elif verify is None:
            verify = "system" if any(view.own for view in self._certificates.served()) else "ca"
        if verify == "ca" and not ca:
            ca = self._core.store.read(self._core.home.ca).bundle
        return replace(wanted, manager=self._host(wanted.manager), verify=verify, ca=ca if verify == "ca" else "")

    def _own_token(self, text: str) -> str:
        try:
            token = ActivationToken.parse(text)
        except TokenError as error:
            raise BadInput(f"{error}; no script was made") from None
        if self._core.store.read(self._core.home.ca).by_key_hash(token.ca_hash) is None:
            raise BadInput("that token is another manager's, or of a CA that was retired; no script was made")
        return str(token)

    def _host(self, given: str) -> str:
        host = given or self._core.home.config.public_name or socket.gethostname()
        try:
            ip = ip_address(host.strip("[]"))
        except ValueError:
            if _HOST.fullmatch(host) is None:
                raise BadInput(f"{host!r} is no host name and no address; no script was made") from None
            return host
        return f"[{ip}]" if ip.version == 6 else str(ip)

    def _placed(self, wanted: ScriptRequest) -> Activating:
        """Where a computer goes, by numbers: what stands in a script is looked up before, and holds no foreign text."""

        def number(what: str, text: str, known: Iterable[assignment.Named]) -> str:
            return str(assignment.pick(what, text, known, "no script was made")) if text else ""

        store = self._core.store
        return Activating(
            url=f"dsm://{wanted.manager}:{self._core.home.config.heartbeat_port}/",
            policy=number("policy", wanted.policy, store.read(policy_table.all_policies)),
            group=number("computer group", wanted.group, store.read(group_table.all_groups)),
            relay_group=number("relay group", wanted.relay_group, store.read(policy_table.all_groups)),
            display_name=wanted.display_name,
            relay=wanted.relay,
        )

    def _chosen(self, wanted: ScriptRequest, notes: list[str]) -> list[SoftwareView]:
        """The packages of a script: the newest that can be deployed for each system. Raises NotFound, Undeployable."""
        kinds = _kinds(wanted)
        snapshot = self._floors.snapshot()
        found: dict[tuple[str, str, str], SoftwareView] = {}
        refused: list[Deployable] = []
        for one in self._packages(wanted.version):
            kind = platforms.format_of(one.file)
            if kind not in kinds or (one.platform == platforms.WINDOWS) != (kind == "msi"):
                continue
            if (wanted.platform and one.platform not in platforms.candidates(wanted.platform)) or (
                wanted.architecture and one.architecture != wanted.architecture
            ):
                continue
            system = (one.platform, one.architecture, kind)
            if system in found:
                continue
            judged = judge(one, snapshot, self._core.clock(), relay=wanted.relay)
            if judged.obstacles and not excepted(judged, snapshot, self._core.clock(), notes):
                refused.append(judged)
                continue
            found[system] = one
        if not found:
            if refused:
                raise undeployable(refused)
            if wanted.workaround and wanted.unchecked:
                return []
            raise NotFound(self._missing(wanted))
        notes += [f"left out: {said(one)}" for one in refused if _system(one.package) not in found]
        return self._one_for_workaround(wanted, list(found.values())) if wanted.workaround else list(found.values())

    def _one_for_workaround(self, wanted: ScriptRequest, found: list[SoftwareView]) -> list[SoftwareView]:
        for name in platforms.candidates(wanted.platform) if wanted.platform else ():
            fit = [one for one in found if one.platform == name]
            if fit:
                found = fit
                break
        if len(found) > 1:
            there = ", ".join(f"{one.platform} {one.architecture}" for one in found)
            raise BadInput(
                "a workaround is for one package, whose digest stands in it: say which system with platform and"
                f" architecture; there is {there}; no script was made"
            )
        return found

    def _missing(self, wanted: ScriptRequest) -> str:
        which = " ".join(filter(None, ("agent package", wanted.version, f"(.{' or .'.join(sorted(_kinds(wanted)))})")))
        target = " ".join(filter(None, (wanted.platform, wanted.architecture))) or wanted.system.capitalize()
        hint = "import one first: plimsoll software import FILE"
        return f"there is no {which} for {target} in the repository; no script was made: {hint}"

    def _renderer(self, wanted: ScriptRequest, packages: list[SoftwareView], notes: list[str]) -> _Renderer:
        rows = [_row(one) for one in packages]
        source = None
        if not wanted.workaround:
            config = self._core.home.config
            verify = wanted.verify or "ca"
            url = f"https://{wanted.manager}:{config.gui_port}"
            floor = self._floors.snapshot().floor(Point.GUI)
            source = Source(url=url, verify=verify, ca=wanted.ca, floor=max(floor, Version.TLS1_2).value)
            if verify == "none":
                notes.append(
                    "THE MANAGER'S CERTIFICATE IS NOT CHECKED by this script. The package is, by its digest; the token"
                    " goes to nobody but the holder of the manager's CA key"
                )
            elif not self._names_it(wanted.manager):
                notes.append(
                    f"the certificate of 4119 does not name {wanted.manager}: hosts will end with exit code 20. Give"
                    " another name with --manager, or set publicName= in configuration.properties"
                )
        elif not packages:
            notes.append("THE PACKAGE IS NOT CHECKED by this script: whoever can alter the download owns the host")
        return _Renderer(wanted, rows, source, packages)

    def _names_it(self, host: str) -> bool:
        plain = host.strip("[]").lower()
        for view in self._certificates.served():
            for name in map(str.lower, view.names):
                if name == plain or (name.startswith("*.") and plain.partition(".")[2] == name[2:]):
                    return True
        return False

    def _packages(self, version: str) -> list[SoftwareView]:
        """Agents that are here, the newest first."""
        wanted = _parsed(version) if version else None
        found = [one for one in self._software.everything() if one.product == "agent"]
        fit = (one for one in found if wanted is None or one.component == wanted)
        return sorted(fit, key=lambda one: one.component, reverse=True)


@dataclass(frozen=True, slots=True)
class _Renderer:
    """Writes the script for a way of activating."""

    wanted: ScriptRequest
    rows: list[PackageRow]
    source: Source | None
    packages: list[SoftwareView]

    def __call__(self, how: Activating) -> str:
        if self.source is not None:
            write = scripts.windows if _windows(self.wanted) else scripts.linux
            return write(RELEASE, self.source, self.rows, how)
        row = self.rows[0] if self.rows else None
        kind = WORKAROUNDS[self.wanted.workaround]
        file = self.wanted.file or (row.file if row else f"agent.{kind}")
        if kind == "msi":
            return scripts.workaround_windows(RELEASE, self.wanted.base_url, file, row, how)
        return scripts.workaround_linux(RELEASE, self.wanted.base_url, file, row, how, kind)


def _windows(wanted: ScriptRequest) -> bool:
    return wanted.system == "windows"


def _kinds(wanted: ScriptRequest) -> frozenset[str]:
    if wanted.workaround:
        return frozenset({WORKAROUNDS[wanted.workaround]})
    return frozenset({"msi"} if _windows(wanted) else {"deb", "rpm"})


def _row(one: SoftwareView) -> PackageRow:
    version = one.version.replace(" ", "_")
    return PackageRow(one.platform, one.architecture, platforms.format_of(one.file), version, one.sha256, one.file)


def _system(one: SoftwareView) -> tuple[str, str, str]:
    return one.platform, one.architecture, platforms.format_of(one.file)


def _version_of(text: str) -> str:
    """A version as an address says it: blanks are underscores there. `latest` is any."""
    return "" if text.lower() == "latest" else text.replace("_", " ")


def _parsed(version: str) -> ComponentVersion:
    try:
        return ComponentVersion.parse(version)
    except UnknownComponentVersionError as error:
        raise BadInput(str(error)) from None


def _usual_format(platform: str) -> str:
    """The kind of package of a system, for addresses that name no file."""
    family = platform.split("_")[0]
    if family == platforms.WINDOWS:
        return "msi"
    if family in ("Solaris", "AIX", "macOS"):
        return "gz"
    return "deb" if family in ("Debian", "Ubuntu") else "rpm"


def _certificates(pem: str) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding

    try:
        found = x509.load_pem_x509_certificates(pem.encode())
    except ValueError:
        raise BadInput("the CA is no certificate in PEM; no script was made") from None
    # Only the certificates: a file may hold a key besides.
    return "".join(one.public_bytes(Encoding.PEM).decode() for one in found)
