"""plimsoll deploy-script on a real stopped home: what is printed, what is said beside it, and what is refused."""

from __future__ import annotations

import io
import json
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support.homes import desk
from tests.support.releases import Publisher
from tests.unit.cli.fake import Ran

from plimsoll.cli import main
from plimsoll.cli._output import Output
from plimsoll.cli._session import Session

Run = Callable[..., Ran]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("scripts")
    with desk(folder) as opened:
        publisher = Publisher().trusted_by(opened.services)
        publisher.import_into(opened.services, b"new", version="12.1.0", platform="Debian_12", file="agent-12.1.0.deb")
        publisher.import_into(opened.services, b"old", version="9.6.2", platform="RedHat_EL6", file="agent-9.6.2.rpm")
        publisher.import_into(opened.services, b"msi", version="12.1.0", platform="Windows", file="agent-12.1.0.msi")
        path = opened.home.path
    yield path


@pytest.fixture
def run(home: Path) -> Run:
    def command(line: str, code: int = 0) -> Ran:
        out, err = io.StringIO(), io.StringIO()
        ended = main.main(shlex.split(line), Session(output=Output(out, err), env={}, home=home))
        assert ended == code, err.getvalue()
        return Ran(ended, out.getvalue(), err.getvalue())

    return command


@pytest.mark.rule("R21")
def test_the_script_is_the_result_and_what_it_is_stands_beside_it(run: Run, tmp_path: Path) -> None:
    ran = run("deploy-script linux --manager localhost --token-ttl 12h --token-uses 3")
    assert ran.out.startswith("#!/bin/sh\n")
    assert ran.out.endswith("\nmain\n)\n")
    assert "installs agent 12.1.0 on Debian_12 x86_64 (agent-12.1.0.deb)" in ran.err
    assert "for 3 computers: whoever has the script has the token" in ran.err
    assert "note: left out: agent 9.6.2 for RedHat_EL6 x86_64 speaks TLSv1 at most" in ran.err
    assert "pt1." not in ran.err
    written = run(f"deploy-script windows --manager localhost --no-activation --out {tmp_path}/deploy.ps1")
    assert written.out == f"{tmp_path}/deploy.ps1\n"
    assert (tmp_path / "deploy.ps1").read_bytes().startswith(b"#requires -version 4.0\r\n")
    assert (tmp_path / "deploy.ps1").stat().st_mode & 0o077 == 0
    assert json.loads(run("deploy-script linux --json").out)["scriptBody"].startswith("#!/bin/sh")


@pytest.mark.rule("R22")
def test_a_workaround_names_its_file_as_software_export_writes_it(run: Run) -> None:
    ran = run("deploy-script linux --workaround dpkg --base-url http://web/agents --no-activation")
    assert "FILE='agent-12.1.0.deb'" in ran.out
    named = run("deploy-script linux --workaround dpkg --base-url http://web --file agent.deb --no-activation")
    assert "FILE='agent.deb'" in named.out


@pytest.mark.rule("R20")
def test_what_a_floor_forbids_is_listed_and_refused_with_3(run: Run) -> None:
    listed = run("deploy-script --check", code=3)
    assert [line.split()[0] for line in listed.out.splitlines()] == ["VERSION", "12.1.0", "9.6.2", "12.1.0"]
    old = next(line for line in listed.out.splitlines() if line.startswith("9.6.2"))
    assert old.split(maxsplit=5)[3:] == [
        "TLSv1",
        "no",
        "heartbeat 4120: TLSv1.2, gui 4119: TLSv1.2, relay 4122: TLSv1.2",
    ]
    assert run("deploy-script --check --version 12.1.0").code == 0
    assert "allow early TLS again first" in run("deploy-script linux --version 9.6.2", code=3).err


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("deploy-script solaris", "a script is for linux or windows"),
        ("deploy-script linux --token-ttl soon", "a time like 30m, 12h or 7d"),
        ("deploy-script linux --insecure --system-trust", "exclude each other"),
        ("deploy-script linux --ca-file /nowhere.pem", "/nowhere.pem"),
        ("deploy-script linux --policy 99", "there is no policy '99'; no script was made"),
        ("deploy-script linux --workaround rpm", "give its base URL"),
    ],
)
def test_bad_input_ends_with_2_and_makes_nothing(run: Run, line: str, said: str) -> None:
    ran = run(line, code=2)
    assert said in ran.err
    assert ran.out == ""
