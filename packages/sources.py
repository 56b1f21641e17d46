"""Debian's source packages, with Debian's security patches, fetched and verified by a private apt.

The machine's own apt configuration is read, never changed: its archives are copied with `deb-src` in place of `deb`,
and lists and downloads go into the cache. apt checks the archive's signature and every file's digest.
"""

from __future__ import annotations

import functools
import os
import re
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from packages import cache
from packages.cache import PackagesError

KEYRINGS = Path("/usr/share/keyrings")


@dataclass(frozen=True)
class Source:
    """One fetched source package: its version, and the .dsc that dpkg-source unpacks."""

    name: str
    version: str
    dsc: Path

    @property
    def digest(self) -> str:
        """Of the .dsc, which holds the digests of all the other files."""
        return cache.sha256_of(self.dsc)

    def unpack(self, into: Path) -> Path:
        """The patched source tree."""
        folder = into / self.name
        command = ["dpkg-source", "--no-check", "-x", str(self.dsc), str(folder)]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            raise PackagesError(f"dpkg-source cannot unpack {self.dsc.name}: {done.stderr.strip()[-400:]}")
        return folder


class Archive:
    """Debian's archive as this machine is set up to reach it, with source packages."""

    def __init__(self, place: Path) -> None:
        self._place = place
        for folder in ("lists/partial", "cache/archives/partial", "parts", "files"):
            (place / folder).mkdir(parents=True, exist_ok=True)

    @cached_property
    def _environment(self) -> dict[str, str]:
        parts = self._place / "parts"
        for old in parts.iterdir():
            old.unlink()
        written = 0
        for path in [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))]:
            if path.is_file() and (text := with_sources(path.read_text(), path.suffix)):
                name = f"{path.stem}{path.suffix}"
                (parts / name).write_text(text)
                written += 1
        if not written:
            raise PackagesError("this machine's apt knows no archive of Debian; its sources are needed to build from")
        conf = self._place / "apt.conf"
        conf.write_text(
            f'Dir::Etc::sourcelist "/dev/null";\nDir::Etc::sourceparts "{parts}";\n'
            f'Dir::State::lists "{self._place / "lists"}";\nDir::Cache "{self._place / "cache"}";\n'
            'APT::Sandbox::User "root";\nAPT::Get::List-Cleanup "false";\nAcquire::Languages "none";\n'
        )
        done = self._run(["apt-get", "update", "-q"], {**os.environ, "APT_CONFIG": str(conf)})
        if done.returncode:
            raise PackagesError(f"apt-get update for the source packages failed: {done.stderr.strip()[-400:]}")
        return {**os.environ, "APT_CONFIG": str(conf)}

    def fetch(self, name: str) -> Source:
        """The newest version that the archive really gives: a mirror may list one whose files it does not have."""
        versions = self._versions(name)
        complaint = "no such source package"
        for version in versions:
            done = self._run(["apt-get", "source", "-q", "--download-only", f"{name}={version}"], self._environment)
            # The epoch stands in no file's name.
            dsc = self._place / "files" / f"{name}_{version.rpartition(':')[2]}.dsc"
            if done.returncode == 0 and dsc.exists():
                return Source(name, version, dsc)
            complaint = done.stderr.strip()[-300:]
            cache.say(f"{name} {version} is listed, but cannot be had from this archive; trying the one before it")
        raise PackagesError(f"the source package {name} cannot be had: {complaint}")

    def _versions(self, name: str) -> list[str]:
        done = self._run(["apt-cache", "showsrc", "--only-source", name], self._environment)
        found = set(re.findall(r"^Version: (\S+)$", done.stdout, re.MULTILINE))
        return sorted(found, key=functools.cmp_to_key(_compare), reverse=True)

    def _run(self, command: list[str], env: dict[str, str]) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(
                command, check=False, capture_output=True, text=True, env=env, cwd=self._place / "files"
            )
        except FileNotFoundError:
            raise PackagesError(
                f"{command[0]} is missing: packages are built on Debian or a system made of it"
            ) from None


def with_sources(text: str, suffix: str) -> str:
    """An apt source list as one that names Debian's source packages alone; empty where it names no such archive."""
    if suffix == ".sources":
        blocks = re.split(r"\n\s*\n", text)
        kept = [block for block in blocks if re.search(r"^Types:.*\bdeb\b", block, re.M) and _debian(block)]
        return "\n\n".join(re.sub(r"^Types:.*$", "Types: deb-src", block, flags=re.M) for block in kept)
    lines = [line for line in text.splitlines() if re.match(r"\s*deb\s", line) and _debian(line)]
    return "\n".join(re.sub(r"^\s*deb\s", "deb-src ", line) for line in lines)


def _debian(text: str) -> bool:
    """Whether it is Debian's own archive (or its security archive) and not somebody else's beside it."""
    return re.search(r"/debian(-security)?/?(\s|$)", text, re.M) is not None


def _compare(one: str, other: str) -> int:
    """The order of Debian's versions, as dpkg knows it."""
    older = subprocess.run(["dpkg", "--compare-versions", one, "lt", other], check=False).returncode == 0
    return -1 if older else one != other
