"""Deployment scripts put together: a head of values, and bodies that are the same for everybody.

Linux: POSIX sh, all of it in one subshell, so that a script that was cut off on its way runs nothing, and one that is
pasted leaves nothing behind in the shell, the token least of all. Windows: PowerShell 4.0 or newer (R21). The
workarounds (R22) use what curl 7.19 and PowerShell 2.0 have.
"""

from __future__ import annotations

import base64
import functools
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Literal

from plimsoll.manager.deploy import quoting
from plimsoll.net.identity import certificates_in

Verify = Literal["ca", "system", "none"]

MADE_FOR = "# Made by Plimsoll {release}. It installs an agent and activates it{until}."
KEEP = "# It carries an activation token: whoever has this file can activate computers until then. Keep it to yourself."


@dataclass(frozen=True, slots=True)
class PackageRow:
    """One package that a script may install, with what is checked of it. `version` has no blanks."""

    platform: str
    architecture: str
    format: str
    version: str
    sha256: str
    file: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Activating:
    """How the script activates; without a token it only installs. Policy and groups are numbers, empty: not said."""

    url: str
    token: str = ""
    policy: str = ""
    group: str = ""
    relay_group: str = ""
    display_name: str = ""
    relay: bool = False
    #: What the token is good for, in words for the head.
    until: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a generated script downloads from: 4119, what of it is trusted, and its floor, for messages.

    `ca` is one or more certificates in PEM where `verify` is "ca".
    """

    url: str
    verify: Verify
    ca: str = ""
    floor: str = "TLSv1.2"


@functools.cache
def body(name: str) -> str:
    """A constant part of a script."""
    return (resources.files("plimsoll.manager.deploy") / "bodies" / name).read_text("utf-8")


def detection() -> str:
    """What the reference's own scripts fetch and source: defines `platform_detect`."""
    return body("platform_detect.sh")


def linux(release: str, source: Source, packages: Sequence[PackageRow], how: Activating) -> str:
    """Raises UnquotableError."""
    rows = "\n".join(
        f"{one.platform} {one.architecture} {one.format} {one.version} {one.sha256} {one.file}" for one in packages
    )
    values = [
        ("MANAGER_URL", quoting.checked("the manager's address", source.url)),
        ("VERIFY", source.verify),
        ("MANAGER_CA", source.ca.strip()),
        ("FLOOR", source.floor),
        ("PACKAGES", rows),
        *_activation(how),
    ]
    return _sh(release, how, values, "common.sh", "platform_detect.sh", "linux.sh")


def workaround_linux(
    release: str, base_url: str, file: str, package: PackageRow | None, how: Activating, kind: str
) -> str:
    """`kind` is rpm or deb; without a package the file is not checked. Raises UnquotableError."""
    values = [
        ("BASE_URL", quoting.checked("the base URL", base_url.rstrip("/"))),
        ("FILE", quoting.checked("the file's name", file)),
        ("FORMAT", kind),
        ("SHA256", package.sha256 if package else ""),
        ("AGENT_VERSION", package.version if package else ""),
        ("PLATFORM", f"{package.platform} {package.architecture}" if package else ""),
        *_activation(how),
    ]
    return _sh(release, how, values, "common.sh", "workaround.sh")


def windows(release: str, source: Source, packages: Sequence[PackageRow], how: Activating) -> str:
    """Raises UnquotableError."""
    rows = [f"{one.architecture} {one.version} {one.sha256} {one.file}" for one in packages]
    values: list[tuple[str, str | Sequence[str]]] = [
        ("ManagerUrl", quoting.checked("the manager's address", source.url)),
        ("Verify", source.verify),
        ("ManagerCa", _base64(source.ca)),
        ("Floor", source.floor),
        ("Packages", rows),
        *_windows_activation(how),
    ]
    return _powershell(release, "4.0", how, values, "common.ps1", "windows.ps1")


def workaround_windows(release: str, base_url: str, file: str, package: PackageRow | None, how: Activating) -> str:
    """Raises UnquotableError."""
    values: list[tuple[str, str | Sequence[str]]] = [
        ("BaseUrl", quoting.checked("the base URL", base_url.rstrip("/"))),
        ("PackageFile", quoting.checked("the file's name", file)),
        ("Sha256", package.sha256 if package else ""),
        ("AgentVersion", package.version if package else ""),
        ("Platform", f"{package.platform} {package.architecture}" if package else ""),
        *_windows_activation(how),
    ]
    return _powershell(release, "2.0", how, values, "common.ps1", "workaround.ps1")


def _activation(how: Activating) -> list[tuple[str, str]]:
    return [
        ("ACTIVATION_URL", quoting.checked("the activation address", how.url)),
        ("TOKEN", quoting.checked("the token", how.token)),
        ("POLICY", quoting.checked("the policy", how.policy)),
        ("GROUP", quoting.checked("the group", how.group)),
        ("RELAY_GROUP", quoting.checked("the relay group", how.relay_group)),
        ("DISPLAY_NAME", quoting.checked("the display name", how.display_name)),
        ("RELAY", "yes" if how.relay else "no"),
    ]


def _windows_activation(how: Activating) -> list[tuple[str, str]]:
    names = {
        "ACTIVATION_URL": "ActivationUrl",
        "TOKEN": "Token",
        "POLICY": "Policy",
        "GROUP": "Group",
        "RELAY_GROUP": "RelayGroup",
        "DISPLAY_NAME": "DisplayName",
        "RELAY": "Relay",
    }
    return [(names[name], value) for name, value in _activation(how)]


def _comments(release: str, how: Activating) -> str:
    until = f" ({how.until})" if how.until else ""
    said = MADE_FOR.format(release=release, until=until if how.token else " where it is given a token")
    return f"{said}\n{KEEP}\n" if how.token else f"{said}\n"


def _sh(release: str, how: Activating, values: Sequence[tuple[str, str]], *bodies: str) -> str:
    parts = "\n".join(body(name) for name in bodies)
    return f"#!/bin/sh\n{_comments(release, how)}(\n{quoting.sh_head(values)}\n{parts})\n"


def _powershell(
    release: str, version: str, how: Activating, values: Sequence[tuple[str, str | Sequence[str]]], *bodies: str
) -> str:
    parts = "\n".join(body(name) for name in bodies)
    text = f"#requires -version {version}\n{_comments(release, how)}\n{quoting.powershell_head(values)}\n{parts}"
    return text.replace("\n", "\r\n")


def _base64(pem: str) -> list[str]:
    """The certificates' own bytes: .NET of that age reads no PEM."""
    return [base64.b64encode(der).decode() for der in certificates_in(pem)]
