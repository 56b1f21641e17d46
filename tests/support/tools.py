"""openssl s_client and nmap, as an administrator runs them."""

from __future__ import annotations

import re
import subprocess
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from dataclasses import dataclass

from tests.support.process import PATIENCE, run

#: Words in names of suites that nobody may ever be offered.
FORBIDDEN = ("anon", "NULL", "EXPORT", "RC4", "_DES_", "3DES", "MD5")


@dataclass(frozen=True, slots=True)
class SClient:
    """What ``openssl s_client`` said. `version` and `suite` are empty where no handshake was completed."""

    connected: bool
    version: str
    suite: str
    text: str

    @property
    def refused_by_version(self) -> bool:
        return not self.connected and "alert protocol version" in self.text


def s_client(port: int, *options: str, host: str = "127.0.0.1") -> SClient:
    """One handshake by ``openssl s_client``."""
    result = run(["openssl", "s_client", "-connect", f"{host}:{port}", "-no_ign_eof", *options], timeout=PATIENCE)
    text = result.stdout + result.stderr
    found = re.search(r"^New, (?P<version>\S+), Cipher is (?P<suite>\S+)", text, re.MULTILINE)
    connected = result.returncode == 0 and found is not None and found["suite"] != "(NONE)"
    version = re.search(r"^ *Protocol *: (\S+)", text, re.MULTILINE)
    return SClient(
        connected=connected,
        version=(version[1] if version else found["version"]) if connected and found else "",
        suite=found["suite"] if connected and found else "",
        text=text,
    )


def s_client_early(port: int, host: str = "127.0.0.1") -> SClient:
    """A client of TLS 1.0, with every suite it can have."""
    return s_client(port, "-tls1", "-cipher", "ALL:@SECLEVEL=0", host=host)


def nmap_versions(ports: Sequence[int], host: str = "127.0.0.1") -> dict[int, dict[str, list[str]]]:
    """Per port and version the suites that nmap's ``ssl-enum-ciphers`` lists."""
    command = ["nmap", "--script", "ssl-enum-ciphers", host, "-p", ",".join(map(str, ports)), "-Pn", "-n", "-oX", "-"]
    result = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=2 * PATIENCE, check=True
    )
    # The document is nmap's own, of a run that we started.
    found: dict[int, dict[str, list[str]]] = {}
    for port in ElementTree.fromstring(result.stdout).iter("port"):
        versions: dict[str, list[str]] = {}
        for script in port.iter("script"):
            for table in script.findall("table"):
                names = [str(elem.text) for elem in table.iter("elem") if elem.get("key") == "name"]
                if names:
                    versions[str(table.get("key"))] = names
        found[int(str(port.get("portid")))] = versions
    return found
