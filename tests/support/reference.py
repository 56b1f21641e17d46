"""`docs/reference`: written from the description, and the lines in it run in a shell against a real manager.

`python -m tests.support.reference` writes the pages anew.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from plimsoll import RELEASE
from plimsoll.manager.api.application import describing
from plimsoll.manager.api.description import ABOUT, operations
from plimsoll.manager.api.examples import EXAMPLES
from plimsoll.manager.api.reference import Row, Section, sections
from plimsoll.manager.home import open_home
from plimsoll.manager.services import Services
from plimsoll.manager.services.computer_views import Intake
from plimsoll.messages import Inventory, Kind, bundle
from tests.support import answers, client_maker
from tests.support.homes import Desk
from tests.support.manager import HOST, Manager
from tests.support.process import eventually
from tests.support.releases import Publisher

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "reference"


@dataclass
class Ran:
    """What came of an example's line."""

    name: str
    line: str
    wanted: int
    status: str
    answer: str


@contextmanager
def prepared(folder: Path) -> Iterator[tuple[Manager, Path]]:
    """A running manager with a relay, a computer and three scans, and a folder with files that the examples send."""
    manager = Manager(folder / "home")
    home = open_home(manager.home)
    try:
        services = Services(home.store, home)
        services.floors.start()
        at = Desk(home, services, cast(Any, SimpleNamespace(activation_token=manager.token)))
        publisher = Publisher().trusted_by(services)
        publisher.import_into(services, b"a release", version=RELEASE, platform="Linux", file="plimsoll-agent.tar.gz")
        _joins(at, "relay-1.example.test", Kind.RELAY)
        _joins(at, "web-1.example.test", Kind.AGENT)
    finally:
        home.close()
    files = folder / "files"
    files.mkdir()
    publisher.write(files, b"!<arch>\n" + bytes(1000), file="agent.deb", version=RELEASE)
    signature = (files / "agent.deb.sig").read_text()
    (files / "release-key.json").write_text(json.dumps({"text": publisher.pem, "name": "builds"}))
    with (files / "site.bundle").open("wb") as opened:
        bundle.write(opened, [(files / "agent.deb", signature)], publisher.key)
    (files / "signature.json").write_text(json.dumps({"signature": signature}))
    with socket.create_server((HOST, 0)) as silent, manager.file.open("a") as file:
        file.write(f"scanNetworks={HOST}/32\n")
        file.flush()
        try:
            manager.start()
            _scans(manager, silent.getsockname()[1])
            yield manager, files
        finally:
            manager.close()


def _scans(manager: Manager, silent: int) -> None:
    """Two that are over, and one that waits for an answer, so that what is asked for next waits in the queue."""
    for number in (1, 2):
        manager.post("/api/tls/scans", {"fleet": True, "mode": "sweep"})
        eventually(lambda n=number: manager.get(f"/api/tls/scans/{n}")["state"] == "done", "a scan ends")  # type: ignore[misc]
    manager.post("/api/tls/scans", {"endpoints": [f"tls://{HOST}:{silent}"]})
    eventually(lambda: manager.get("/api/tls/scans/3")["state"] == "running", "a scan runs")


def _joins(at: Desk, name: str, kind: Kind) -> None:
    """A computer that can change its own release, and has said so."""
    made = at.activate(name, "11.3.1", kind, address="127.0.0.8").computer
    entry = next(one for one in at.services.computers.registry() if one.id == made)
    said = Inventory(
        hostname=name, version="11.3.1", kind=kind, architecture="x86_64", platform="Debian", upgradable=True
    )
    intake = Intake(computer=made, time=time.time(), sequence=1, fingerprint=entry.fingerprints[0], inventory=said)
    at.services.computers.take_in(intake).result()


def run_all(manager: Manager, files: Path) -> Iterator[Ran]:
    """Every example, one after the other."""
    known = {one["operationId"]: (method, path, one) for method, path, one in operations(describing().openapi())}
    environment = os.environ | {
        "URL": f"https://{HOST}:{manager.gui_port}",
        "KEY": manager.api_key,
        "CA": str(manager.ca),
        "UNTIL": str(int(time.time()) + 90 * 86400),
    }
    for name, example in EXAMPLES.items():
        method, path, _ = known[name]
        line = example.curl(method, path, streams=name == "events_stream")
        done = subprocess.run(
            ["/bin/sh", "-c", line.replace("curl -sS", "curl -sS -o answer -w '%{http_code}'", 1)],
            cwd=files,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        answer = files / "answer"
        said = answer.read_text(errors="replace") if answer.exists() else ""
        answer.unlink(missing_ok=True)
        yield Ran(name, line, example.status, done.stdout[-3:], said + done.stderr)


# -- the pages


def pages() -> dict[str, str]:
    """The pages by file name, as they should stand in the folder."""
    found = sections(describing().openapi())
    made = {f"{section.name}.md": _page(section) for section in found}
    made["README.md"] = _first(found)
    return made


def _first(found: tuple[Section, ...]) -> str:
    lines = [
        "# REST",
        "",
        ABOUT,
        "",
        "A running manager shows the same at `/api/docs`, and for programs at `/api/openapi.json` (OpenAPI 3.1). Every",
        "line was run by a test against a manager; where one is not answered with a success, it says why. They",
        "suppose:",
        "",
        "```sh",
        "URL=https://manager.example.test:4119",
        "KEY=2:…                # plimsoll apikey create, or POST /api/apikeys; it is shown once",
        "CA=ca.pem              # plimsoll manager init said where it lies",
        "UNTIL=$(date -d '+90 days' +%s)",
        "```",
        "",
        "| subject | about | operations |",
        "|---|---|---|",
    ]
    lines += [
        f"| [{section.name}]({section.name}.md) | {section.text} | {len(section.operations)} |" for section in found
    ]
    lines += [
        "",
        'Refusals are `{"message": …}`: 400 (something cannot be meant), 401 (nobody vouches for the request), 403',
        "(the role does not include it), 404 (no such thing), 408 and 413 (the body came too slowly, or is too large),",
        "409 (it does not fit what there is), 429 and 503 (come again after `retry-after` seconds).",
    ]
    return "\n".join(lines) + "\n"


def _page(section: Section) -> str:
    lines = [f"# {section.name}", "", section.text]
    for one in section.operations:
        lines += ["", f"## {one.method} {one.path}", "", one.text]
        if one.parameters:
            lines += ["", *_table(one.parameters, "parameter")]
        if one.body_text:
            lines += ["", f"Body: {one.body_text}" if not one.body else f"Body. {one.body_text}".rstrip()]
        if one.body:
            lines += ["", *_table(one.body, "field", marked=True)]
        lines += ["", f"Answer: {one.success}{f', {one.answer}' if one.answer else ''}.", "", "```sh", one.curl, "```"]
        if one.why:
            lines += ["", f"That line is answered with {one.status}: {one.why}."]
    if section.shapes:
        lines += ["", "## Shapes of the answers"]
    for shape in section.shapes:
        lines += ["", f"### {shape.name}", *(["", shape.text] if shape.text else []), "", *_table(shape.rows, "field")]
    return "\n".join(lines) + "\n"


def _table(rows: tuple[Row, ...], first: str, *, marked: bool = False) -> list[str]:
    lines = [f"| {first} | type | what |", "|---|---|---|"]
    for row in rows:
        name = f"`{row.name}`" + (" (required)" if row.required and (row.where or marked) else "")
        lines.append(f"| {name} | {_cell(row.kind)} | {_cell(row.text)} |")
    return lines


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    wanted = pages()
    for old in FOLDER.glob("*.md"):
        if old.name not in wanted:
            old.unlink()
    for name, text in wanted.items():
        (FOLDER / name).write_text(text)
    client_maker.main()
    answers.record()


if __name__ == "__main__":
    main()
