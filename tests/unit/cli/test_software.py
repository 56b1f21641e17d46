"""plimsoll software on a real stopped home: what an administrator types from the first key to a package for a host."""

from __future__ import annotations

import io
import json
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.homes import new_home
from tests.unit.cli.fake import Ran

from plimsoll.cli import main
from plimsoll.cli._output import Output
from plimsoll.cli._session import Session

CONTENT = bytes(range(256)) * 9000


class Desk:
    """A folder of work, and a manager's home that no process runs on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home, _ = new_home(folder)
        (folder / "pass").write_text("open sesame\n")
        self.env = {"CREDENTIALS_DIRECTORY": str(folder)}

    def run(self, line: str, code: int = 0) -> Ran:
        out, err = io.StringIO(), io.StringIO()
        arguments = [word.replace("@", f"{self.folder}/") for word in shlex.split(line)]
        ended = main.main(arguments, Session(output=Output(out, err), env=self.env, home=self.home))
        assert ended == code, err.getvalue()
        return Ran(ended, out.getvalue(), err.getvalue())


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Desk]:
    (tmp_path / "agent.deb").write_bytes(CONTENT)
    yield Desk(tmp_path)


SIGN = "software sign @agent.deb --key @release.key --version 12.1.0 --platform Debian_12"


@pytest.mark.rule("R9")
def test_from_the_first_key_to_a_package_for_a_host(at: Desk) -> None:
    at.run("software keys make --out @release.key --passphrase-file @pass")
    assert (at.folder / "release.key").stat().st_mode & 0o777 == 0o600
    at.run("software import @agent.deb", code=2)
    said = at.run(f"{SIGN} --credential pass")
    assert "agent 12.1.0 for Debian_12 x86_64: signed with release key" in said.err
    refused = at.run("software import @agent.deb", code=2)
    assert "no release key is trusted yet" in refused.err
    assert "belongs where software is signed" in at.run("software keys trust @release.key", code=2).err
    at.run("software keys trust @release.key.pub --name builds")
    imported = json.loads(at.run("software import @agent.deb --json").out)
    assert (imported["new"], imported["length"]) == (True, len(CONTENT))
    assert "is here already, as number 1" in at.run("software import @agent.deb").err
    listed = at.run("software list --platform Debian_12").out
    assert "12.1.0" in listed
    assert "agent.deb" in listed
    (at.folder / "www").mkdir()
    at.run("software export --platform Debian_12 --out @www")
    assert (at.folder / "www" / "agent.deb").read_bytes() == CONTENT
    assert (at.folder / "www" / "agent.deb.sig").read_text() == (at.folder / "agent.deb.sig").read_text()
    assert (
        "there is no agent for Windows i386"
        in at.run("software export --platform Windows --architecture i386", code=2).err
    )
    assert "is deleted" in at.run("software delete 1").err
    assert "there is no such software" in at.run("software list").err


def test_a_key_is_followed_by_the_one_that_it_names(at: Desk) -> None:
    for name in ("release", "next"):
        at.run(f"software keys make --out @{name}.key --no-passphrase")
    at.run("software keys trust @release.key.pub")
    assert "keys endorse" in at.run("software keys trust @next.key.pub", code=1).err
    at.run("software keys list --out @now.txt")
    first = json.loads(at.run("software keys list --json").out)["keys"][0]["id"]
    line = "software keys endorse --current @now.txt --add @next.key.pub --out @next.txt"
    assert "cannot say who follows" in at.run(f"{line} --key @next.key", code=2).err
    assert "does not trust abcd" in at.run(f"{line} --remove abcd --key @release.key", code=2).err
    at.run(f"{line} --remove {first} --key @release.key")
    at.run("software keys trust @next.txt")
    (left,) = json.loads(at.run("software keys list --json").out)["keys"]
    assert (left["name"], left["number"]) == ("next.key", 2)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("software keys make --out @x.key", "wants a passphrase"),
        ("software keys make --out @agent.deb --no-passphrase", "is there already"),
        ("software keys make --out @x.key --passphrase-file @none", "No such file"),
        ("software keys make --out @x.key --credential ../pass", "there is no credential"),
        ("software keys make --out @x.key --credential pass --passphrase-file @pass", "not both"),
        ("software keys trust @agent.deb", "neither a key nor a statement"),
        ("software keys list --out @x", "no release key is trusted yet"),
        ("software import @none.deb", "No such file"),
        (SIGN, "No such file"),
        ("software list --version newest", "unknown component version"),
        ("software delete 7", "no software package 7"),
    ],
)
def test_what_cannot_be_meant_is_said(at: Desk, line: str, said: str) -> None:
    ran = at.run(line, code=2)
    assert said in ran.err
    assert not (at.folder / "x.key").exists()


def test_an_empty_passphrase_is_none(at: Desk) -> None:
    (at.folder / "pass").write_text("\n")
    assert "is empty" in at.run("software keys make --out @x.key --passphrase-file @pass", code=2).err


def test_a_wrong_passphrase_signs_nothing(at: Desk) -> None:
    at.run("software keys make --out @release.key --passphrase-file @pass")
    (at.folder / "other").write_text("sesame")
    assert "passphrase is wrong" in at.run(f"{SIGN} --passphrase-file @other", code=2).err
    assert "none was given" in at.run(SIGN, code=2).err
    assert not (at.folder / "agent.deb.sig").exists()


def test_the_root_key_goes_to_a_safe_and_signs_there(at: Desk) -> None:
    for name in ("safe", "stranger"):
        at.run(f"software keys make --out @{name}.key --no-passphrase")
    shown = json.loads(at.run("software root show --json --out @root.json").out)
    own = next(one["keys"][0] for one in shown["roles"] if one["role"] == "root")
    assert json.loads((at.folder / "root.json").read_text())["signed"]["version"] == 1
    said = at.run(f"software root export --out @next.json --add @safe.key.pub --remove {own[:12]}").err
    assert "it lacks 0 signatures by keys of the root in force, and 1 by its own" in said
    assert "nothing was changed" in at.run("software root import @next.json", code=1).err
    assert "is no key that root 2 knows" in at.run("software root sign @next.json --key @stranger.key", code=2).err
    at.run("software root sign @next.json --key @safe.key")
    assert "root 2 is in force" in at.run("software root import @next.json").err
    assert not (at.home / "software" / "keys" / "root.pem").exists()
    assert "the root key is not on this manager" in at.run("software root rotate targets", code=6).err
    table = at.run("software root show").out.splitlines()
    assert table[0].split() == ["ROLE", "VERSION", "EXPIRES", "SIGN", "KEYS", "HERE"]
    assert table[1].split()[0] == "root"
    assert table[1].split()[-1] == "no"


def test_keys_are_rotated_at_once_where_the_root_key_is_here(at: Desk) -> None:
    assert "root 2 is in force, with new keys for targets, online" in at.run("software root rotate targets online").err
    assert "valid are targets, online" in at.run("software root rotate root", code=2).err
    assert "no root metadata" in at.run("software root import @pass", code=1).err


def test_a_bundle_goes_to_a_site_without_internet(at: Desk) -> None:
    at.run("software keys make --out @release.key --passphrase-file @pass")
    at.run(f"{SIGN} --credential pass")
    made = "software bundle @agent.deb --key @release.key --credential pass --out"
    assert "ends with .bundle" in at.run(f"{made} @site.tar", code=2).err
    said = at.run(f"{made} @site.bundle")
    assert "1 packages" in said.err
    assert "nothing was kept" in at.run("software import @site.bundle", code=2).err
    at.run("software keys trust @release.key.pub --name builds")
    first = json.loads(at.run("software import @site.bundle --json").out)["software"]
    assert [(one["new"], one["length"]) for one in first] == [(True, len(CONTENT))]
    assert "0 of 1 packages are new" in at.run("software import @site.bundle").err
    (at.folder / "agent.deb").write_bytes(b"another")
    assert "is not the file" in at.run(f"{made} @other.bundle", code=2).err
    assert not (at.folder / "other.bundle").exists()
