"""What nmap's XML says of TLS, read without knowing who wrote it: nmap itself, or our own `--format nmap-xml`."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from xml.etree import ElementTree


@dataclass(slots=True)
class Graded:
    """One version's block: suites in the order written, as (name, key exchange, letter)."""

    suites: list[tuple[str, str, str]]
    preference: str = ""
    compressors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Seen:
    """One port. `least` is "" where there is no ssl-enum-ciphers block at all."""

    versions: dict[str, Graded] = field(default_factory=dict)
    least: str = ""


def read(text: str) -> dict[tuple[str, int], Seen]:
    """By address and port."""
    found: dict[tuple[str, int], Seen] = {}
    for host in ElementTree.fromstring(text).iter("host"):
        address = next(a.get("addr", "") for a in host.iter("address"))
        for port in host.iter("port"):
            seen = found[(address, int(port.get("portid", "0")))] = Seen()
            for script in port.iter("script"):
                if script.get("id") == "ssl-enum-ciphers":
                    _fill(seen, script)
    return found


def _fill(seen: Seen, script: ElementTree.Element) -> None:
    for element in script:
        key = element.get("key", "")
        if element.tag == "elem" and key == "least strength":
            seen.least = element.text or ""
        elif element.tag == "table":
            seen.versions[key] = _graded(element)


def _graded(table: ElementTree.Element) -> Graded:
    graded = Graded([])
    for element in table:
        key = element.get("key", "")
        if key == "ciphers":
            for row in element:
                values = {cell.get("key", ""): cell.text or "" for cell in row}
                graded.suites.append((values.get("name", ""), values.get("kex_info", ""), values.get("strength", "")))
        elif key == "compressors":
            graded.compressors = [cell.text or "" for cell in element]
        elif key == "warnings":
            graded.warnings = sorted(cell.text or "" for cell in element)
        elif key == "cipher preference":
            graded.preference = element.text or ""
    return graded


def nmap(host: str, ports: Sequence[int]) -> dict[tuple[str, int], Seen]:
    """Ask nmap's ssl-enum-ciphers about these ports of one address."""
    command = ["nmap", "-Pn", "-n", "-p", ",".join(map(str, ports)), "--script", "+ssl-enum-ciphers", "-oX", "-", host]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=240)
    return read(done.stdout)


def sslscan(host: str, port: int, starttls: str = "") -> dict[str, list[str]]:
    """Suites by version as sslscan lists them, in OpenSSL's names and its own order."""
    command = ["sslscan", "--no-colour", "--no-fallback", "--no-renegotiation", "--no-compression", "--no-heartbleed"]
    command += ["--no-groups", "--no-check-certificate", "--xml=-"]
    if starttls:
        command.append(f"--starttls-{starttls}")
    done = subprocess.run([*command, f"{host}:{port}"], capture_output=True, text=True, check=True, timeout=120)
    found: dict[str, list[str]] = {}
    for cipher in ElementTree.fromstring(done.stdout).iter("cipher"):
        found.setdefault(cipher.get("sslversion", ""), []).append(cipher.get("cipher", ""))
    return found
