"""Fetches what the console sends to browsers and is not ours (requirements/assets.toml), before a wheel is made.

A file that is there with its digest stamped beside it is left alone, so that only a first build needs the network.
"""

from __future__ import annotations

import base64
import hashlib
import io
import subprocess
import tarfile
import tempfile
import tomllib
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

#: Seconds that npm may take for one package.
NPM_SECONDS = 120


class AssetHook(BuildHookInterface[Any]):
    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """`version` is ``editable`` in a developer's checkout, where the tests' own assets come too."""
        root = Path(self.root)
        for name, asset in assets(root).items():
            if asset["wheel"] or version == "editable":
                fetch(root, name, asset)


def assets(root: Path) -> dict[str, dict[str, Any]]:
    return tomllib.loads((root / "requirements" / "assets.toml").read_text())


def fetch(root: Path, name: str, asset: dict[str, Any]) -> None:
    """Raises RuntimeError where npm fails, and where what it brings is not what was pinned."""
    into = root / asset["into"]
    stamp = into.with_name(into.name + ".integrity")
    if into.exists() and stamp.exists() and stamp.read_text() == asset["integrity"]:
        return
    with tempfile.TemporaryDirectory() as folder:
        npm = ["npm", "pack", asset["package"], "--silent", "--pack-destination", folder]
        try:
            done = subprocess.run(npm, capture_output=True, text=True, timeout=NPM_SECONDS, cwd=folder, check=False)
        except OSError as error:
            raise RuntimeError(f"{name}: npm is needed to fetch {asset['package']}: {error}") from error
        found = list(Path(folder).glob("*.tgz"))
        if done.returncode or len(found) != 1:
            raise RuntimeError(f"{name}: npm could not fetch {asset['package']}: {done.stderr.strip()[-500:]}")
        data = found[0].read_bytes()
    digest = "sha512-" + base64.b64encode(hashlib.sha512(data).digest()).decode()
    if digest != asset["integrity"]:
        raise RuntimeError(f"{name}: {asset['package']} is not what requirements/assets.toml pins; nothing was kept")
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        member = archive.extractfile(f"package/{asset['file']}")
        if member is None:
            raise RuntimeError(f"{name}: {asset['package']} has no file {asset['file']}")
        text = member.read()
    into.parent.mkdir(parents=True, exist_ok=True)
    into.write_bytes(text)
    stamp.write_text(asset["integrity"])
