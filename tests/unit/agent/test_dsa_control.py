"""dsa_control, on running and on stopped agents, against a manager in the same process."""

from __future__ import annotations

import asyncio
import io
import os
import tarfile
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from tests.unit.agent.fake_manager import FakeManager, manager, running, until

from plimsoll.agent import dsa_control, owner
from plimsoll.agent.control import path_of
from plimsoll.agent.dsa_control import BAD, FAILED, OK, REFUSED, UNREACHED
from plimsoll.agent.home import Home
from plimsoll.agent.reset import FORGOTTEN
from plimsoll.agent.threads import in_thread
from plimsoll.messages import Command, Direction, Kind, Policy
from plimsoll.tls.versions import Version

Scenario = Callable[[FakeManager], Awaitable[None]]


class Shell:
    """Runs dsa_control on one home, in a thread, as the manager answers in the loop."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.out = self.err = ""

    async def run(self, *words: str, typed: str = "") -> int:
        out, err = io.StringIO(), io.StringIO()
        env = {"PLIMSOLL_AGENT_HOME": str(self.home)}
        code = await in_thread(dsa_control.main, words, env, out, err, io.StringIO(typed))
        self.out, self.err = out.getvalue(), err.getvalue()
        return code


def play(folder: Path, scenario: Scenario) -> None:
    async def work() -> None:
        async with manager(folder) as fake:
            await scenario(fake)

    asyncio.run(work())


def test_a_computer_is_activated_as_its_fields_say(tmp_path: Path) -> None:
    async def scenario(fake: FakeManager) -> None:
        shell = Shell(tmp_path / "agent")
        words = [
            "policyid:7",
            "group:Web servers",
            "relaygroupid:2",
            "displayname:shop",
            "description:till",
            "relay:yes",
        ]
        assert await shell.run("-a", fake.url, "tenantID:", f"token:{fake.token}", *words) == OK
        port = fake.gate.port
        assert shell.out.splitlines() == [
            f"Connecting to dsm://127.0.0.1:{port}/",
            "HTTP Status: 200 - OK",
            "Activated as 7 (relay, policy base)",
        ]
        assert (asked := fake.activations[-1].assign) is not None
        assert (asked.policy, asked.group, asked.relay_group, asked.description) == ("7", "Web servers", "2", "till")
        assert fake.activations[-1].inventory.display_name == "shop"
        assert Home(shell.home).load_state().kind is Kind.RELAY
        assert await shell.run("-a", fake.url, "token:-", typed=f"{fake.token}\n") == OK
        assert shell.out == "Activated already, as 7; nothing was changed\n"
        assert len(fake.activations) == 1

    play(tmp_path, scenario)


def test_a_token_may_come_by_standard_input_and_is_never_printed(tmp_path: Path) -> None:
    async def scenario(fake: FakeManager) -> None:
        shell = Shell(tmp_path / "agent")
        stranger = fake.token.replace("secret", "guessed")
        assert await shell.run("-a", fake.url, "token:-", typed=stranger) == REFUSED
        assert "HTTP Status: 403 - Forbidden" in shell.out
        assert "the token is used up" in shell.err
        assert "guessed" not in shell.out + shell.err
        assert await shell.run("-a", fake.url, f"tokn:{fake.token}") == BAD
        assert await shell.run("-m", fake.token) == BAD
        assert "secret" not in shell.out + shell.err
        assert await shell.run("-a", fake.url, "token:-", typed=fake.token) == OK

    play(tmp_path, scenario)


def test_a_manager_that_is_busy_or_away_is_worth_another_try(tmp_path: Path) -> None:
    async def scenario(fake: FakeManager) -> None:
        shell = Shell(tmp_path / "agent")
        fake.refuse(503, "busy", "come back later")
        assert await shell.run("-a", fake.url, f"token:{fake.token}") == UNREACHED
        assert "HTTP Status: 503" in shell.out
        await fake.gate.stop()
        assert await shell.run("-a", fake.url, f"token:{fake.token}") == UNREACHED
        assert not Home(shell.home).activated

    play(tmp_path, scenario)


def test_a_computer_of_another_installation_is_left_as_it_is(tmp_path: Path) -> None:
    async def scenario(fake: FakeManager) -> None:
        home = await fake.activate()
        shell = Shell(home.path)
        other = fake.token[:-4] + "AAAA"
        assert await shell.run("-a", fake.url, f"token:{other}") == FAILED
        assert "by another installation; nothing was changed" in shell.err
        assert home.load_state().computer == "7"

    play(tmp_path, scenario)


def test_a_running_agent_heartbeats_at_once(tmp_path: Path) -> None:
    async def scenario(fake: FakeManager) -> None:
        home = await fake.activate()
        fake.next_seconds = 3600
        shell = Shell(home.path)
        async with running(home):
            assert path_of(home).stat().st_mode & 0o777 == 0o600
            before = len(fake.heartbeats)
            assert await shell.run("-m") == OK
            assert shell.out == "HTTP Status: 200 - OK\n"
            assert len(fake.heartbeats) == before + 1
            fake.refuse(403, "revoked", "its certificate was revoked")
            assert await shell.run("-m") == REFUSED
            assert shell.out == "HTTP Status: 403 - Forbidden\n"
            assert "revoked" in shell.err
            fake.floor(Version.TLS1_3)
            assert await shell.run("-m") == OK
        assert not path_of(home).exists()

    play(tmp_path, scenario)


def test_a_running_agent_that_waits_for_visits_says_so(tmp_path: Path) -> None:
    async def scenario(fake: FakeManager) -> None:
        fake.next_seconds = 3600
        home = await fake.activate(listen_address="127.0.0.1", listen_port=0)
        home.save_policy(Policy(name="visited", generation=1, direction=Direction.MANAGER_INITIATED))
        shell = Shell(home.path)
        async with running(home):
            assert await shell.run("-m") == FAILED
            assert "wait for its manager's visits" in shell.err

    play(tmp_path, scenario)


def test_a_stopped_agent_heartbeats_once_and_brings_its_policy_home(tmp_path: Path) -> None:
    async def scenario(fake: FakeManager) -> None:
        home = await fake.activate(relay=True)
        sent = Policy(name="base", generation=5, relay_floor=Version.TLS1_3)
        fake.commands = [Command(id="c1", kind="apply-policy", policy=sent), Command(id="c2", kind="renew-certificate")]
        shell = Shell(home.path)
        assert await shell.run("-m") == OK
        assert shell.out == "HTTP Status: 200 - OK\n"
        assert (policy := home.load_policy()) is not None
        assert (policy.generation, policy.relay_floor) == (5, Version.TLS1_3)
        assert '"sent": "TLSv1.3"' in (home.read("relay.json") or b"").decode()
        assert [command.id for command in fake.commands] == ["c2"]
        assert home.locked_by() is None
        await fake.gate.stop()
        assert await shell.run("-m") == UNREACHED
        assert shell.out == ""

    play(tmp_path, scenario)


def test_a_heartbeat_needs_an_activation(tmp_path: Path) -> None:
    async def scenario(fake: FakeManager) -> None:
        shell = Shell(tmp_path / "agent")
        assert await shell.run("-m") == FAILED
        assert "holds no activated agent" in shell.err

    play(tmp_path, scenario)


def test_a_reset_stops_the_agent_and_forgets_who_it_was(tmp_path: Path) -> None:
    async def scenario(fake: FakeManager) -> None:
        home = await fake.activate()
        (home.path / "relay" / "files").mkdir(parents=True)
        (home.path / "relay" / "files" / "kept").write_text("a download")
        shell = Shell(home.path)
        async with running(home) as said:
            assert said
            # The lock is this test's; the daemon that it belongs to must end before a reset goes on.
            assert home.locked_by() is not None
            asked = asyncio.create_task(shell.run("-r"))
            await until(lambda: not path_of(home).exists())
        assert await asked == OK
        assert "this computer was 7" in shell.out
        assert not [name for name in FORGOTTEN if (home.path / name).exists()]
        assert (home.path / "relay" / "files" / "kept").exists()
        assert await shell.run("-r") == OK
        assert "was not activated" in shell.out
        assert await shell.run("-a", fake.url, f"token:{fake.token}") == OK

    play(tmp_path, scenario)


def test_a_bundle_of_diagnostics_holds_no_secret(tmp_path: Path) -> None:
    async def scenario(fake: FakeManager) -> None:
        home = await fake.activate()
        seen = home.load_run_state()
        seen.message = f"somebody put {fake.token} here"
        home.save_run_state(seen)
        key = home.key.read_text().splitlines()[1]
        out = tmp_path / "bundles"
        out.mkdir()
        shell = Shell(home.path)
        assert await shell.run("-d", str(out)) == OK
        path = Path(shell.out.strip())
        assert path.parent == out
        assert path.stat().st_mode & 0o777 == 0o600
        with tarfile.open(path) as bundle:
            parts = {entry.name: (bundle.extractfile(entry) or io.BytesIO()).read() for entry in bundle}
        names = {name.removeprefix("plimsoll-diagnostics/") for name in parts}
        assert names >= {"summary.json", "status.json", "host.json", "manager.json", "files.txt", "home/cert.pem"}
        whole = b"\n".join(parts.values())
        assert b"PRIVATE KEY" not in whole
        assert key.encode() not in whole
        assert b"secret" not in whole
        assert b"pt1.(token)" in whole
        assert b'"reached": true' in parts["plimsoll-diagnostics/manager.json"]
        assert b"key.pem" in parts["plimsoll-diagnostics/files.txt"]

    play(tmp_path, scenario)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-a"], "needs the manager's address"),
        (["-a", "https://m:4119/", "token:x"], "not a manager's address"),
        (["-a", "dsm://m:4120/"], "an activation token is needed"),
        (["-a", "dsm://m:4120/", "token:x"], "not an activation token"),
        (["-a", "dsm://m:4120/", "colour:red"], "is no field of -a"),
        (["-a", "dsm://m:4120/", "token:x", "token:y"], "said twice"),
        (["-m", "-r"], "at a time"),
        (["-x"], "unknown option"),
        (["-m", "more"], "unexpected"),
        (["--home"], "needs a folder"),
        (["-a", "dsm://m:4120/", "token:pt1.a.b.c", "relay:perhaps"], "relay is yes or no"),
    ],
)
def test_a_wrong_command_line_changes_nothing(tmp_path: Path, words: list[str], said: str) -> None:
    out, err = io.StringIO(), io.StringIO()
    home = tmp_path / "agent"
    env = {"PLIMSOLL_AGENT_HOME": str(home)}
    assert dsa_control.main(words, env, out, err, io.StringIO()) == BAD
    assert said in err.getvalue()
    assert not home.exists()


def test_help_names_every_field(capsys: pytest.CaptureFixture[str]) -> None:
    assert dsa_control.main(["--help"]) == OK
    said = capsys.readouterr().out.lower()
    assert [name for name in dsa_control.FIELDS if name not in said] == []
    assert dsa_control.main([]) == BAD


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_root_works_on_a_home_as_its_owner_does() -> None:
    # pytest's own folders are closed to others.
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        home = folder / "agent"
        home.mkdir()
        os.chown(home, 4242, 4343)

        def work() -> int:
            (home / "made").touch()
            return 40 + (os.getuid() == 4242) + (os.getgid() == 4343) + (os.getgroups() == [])

        assert owner.as_owner(home, work) == 43
        assert ((home / "made").stat().st_uid, (home / "made").stat().st_gid) == (4242, 4343)
        assert os.geteuid() == 0
        assert owner.as_owner(folder / "none", lambda: 5) == 5
        assert owner.as_owner(home, lambda: 1 // 0) == 1
