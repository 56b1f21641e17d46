"""What this host is and what its TLS can really do.

``python -m plimsoll.agent.inventory CERT KEY`` writes the facts as JSON: they are gathered in a child process, since
trying every version loads much into memory that a resident agent never needs again. Nothing here is read from a
configuration: a version counts only if a handshake in memory, as the client, completed with it.
"""

from __future__ import annotations

import platform
import socket
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec

from plimsoll import RELEASE
from plimsoll.agent.home import AgentState
from plimsoll.messages import Inventory
from plimsoll.net.contexts import ServerContexts, ServerIdentity
from plimsoll.net.errors import BadIdentity
from plimsoll.tls.versions import Version

TIMEOUT = 60.0


def gather(cert: Path, key: Path) -> dict[str, Any]:
    """The host's facts, read by a child process. `cert` and `key` are for the handshakes; any pair will do."""
    command = [sys.executable, "-P", "-m", "plimsoll.agent.inventory", str(cert), str(key)]
    try:
        done = subprocess.run(command, check=True, capture_output=True, timeout=TIMEOUT)
        facts: dict[str, Any] = msgspec.json.decode(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        # A host whose facts cannot be gathered still heartbeats; what was not said stays unknown.
        return {"hostname": socket.gethostname()}
    return facts


def inventory_of(state: AgentState, facts: dict[str, Any], *, listening: bool) -> Inventory:
    """The inventory as it is sent: the host's facts and what this agent is there."""
    return Inventory(
        hostname=state.hostname or facts["hostname"],
        version=RELEASE,
        kind=state.kind,
        platform=facts.get("platform", ""),
        architecture=facts.get("architecture", ""),
        tls_library=facts.get("tls_library", ""),
        speaks=[Version(name) for name in facts.get("speaks", [])],
        curl_version=facts.get("curl_version", ""),
        boot_id=facts.get("boot_id", ""),
        listen_port=state.listen_port if listening else None,
        relay_port=state.relay_port if state.kind.value == "relay" else None,
        guards=state.guards,
        display_name=state.display_name,
    )


def look(cert: str, key: str) -> dict[str, Any]:
    """Gathers the facts in this process."""
    return {
        "hostname": socket.gethostname(),
        "platform": os_name(),
        "architecture": platform.machine(),
        "tls_library": ssl.OPENSSL_VERSION,
        "speaks": [version.value for version in speaks(cert, key)],
        "curl_version": curl_version(),
        "boot_id": boot_id(),
    }


def os_name(release: Path = Path("/etc/os-release")) -> str:
    """The system's own name for itself, as os-release gives it, else the kernel's."""
    try:
        lines = release.read_text(errors="replace").splitlines()
    except OSError:
        return f"{platform.system()} {platform.release()}"
    values = dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    name = values.get("PRETTY_NAME") or values.get("NAME") or platform.system()
    return name.strip().strip("\"'")


def boot_id(path: Path = Path("/proc/sys/kernel/random/boot_id")) -> str:
    """Changes at every boot and differs between hosts: it tells clones apart. Empty where the system has none."""
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def curl_version() -> str:
    """The version of the curl that a deployment script would find here (R21), or nothing."""
    import shutil  # only here: the resident agent imports this file too, and not the archive modules behind that one

    curl = shutil.which("curl")
    if curl is None:
        return ""
    try:
        done = subprocess.run([curl, "--version"], check=True, capture_output=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return ""
    words = done.stdout.decode(errors="replace").split()
    return words[1] if len(words) > 1 and words[0] == "curl" else ""


def speaks(cert: str, key: str) -> list[Version]:
    """The versions in which a handshake with this host's TLS library completes, each offered alone by a client."""
    try:
        contexts = ServerContexts([ServerIdentity(cert, key)], client_ca=None)
    except BadIdentity:
        return []
    contexts.set_minimum(Version.TLS1_0)
    return list(contexts.serves())


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(look(sys.argv[1], sys.argv[2])))
