"""What commands ask of the manager, and where the answer is more than a transcript shows."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.unit.cli.answers import BLOCKED, CLEAR, OLD_AGENT, OLD_PROGRAM, small_fleet
from tests.unit.cli.fake import Answers, FakeManager, Shell

from plimsoll.cli import _client, dsm_c, main
from plimsoll.cli._errors import Code
from plimsoll.cli._output import Output
from plimsoll.cli._session import Session


def shell() -> Shell:
    return Shell(FakeManager(small_fleet()))


@pytest.mark.rule("R13")
@pytest.mark.rule("R16")
@pytest.mark.parametrize("version", ["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"])
def test_dsm_c_sets_the_minimum(version: str) -> None:
    answers: Answers = small_fleet() | {("POST", "/api/tls/minimum"): (200, {"changed": []})}
    manager = FakeManager(answers)
    assert Shell(manager).run(f"dsm_c -action settlsprotocol -MinimumTLSProtocol {version}").code == 0
    assert manager.asked[0] == ("POST", "/api/tls/minimum", {}, {"floor": version, "force": False, "reason": None})


@pytest.mark.rule("R12")
def test_dsm_c_force_carries_its_reason() -> None:
    manager = FakeManager(small_fleet() | {("POST", "/api/tls/minimum"): (200, {"changed": []})})
    Shell(manager).run('dsm_c -action settlsprotocol -MinimumTLSProtocol TLSv1.2 -force "audit on Friday"')
    assert manager.asked[0][3] == {"floor": "TLSv1.2", "force": True, "reason": "audit on Friday"}


@pytest.mark.parametrize("version", ["TLSV1.2", "1.2", "SSLv3", "TLSv1.0", "", "TLSv1.2 "])
def test_dsm_c_refuses_other_names_without_asking_the_manager(version: str) -> None:
    manager = FakeManager(small_fleet())
    ran = Shell(manager).run(f"dsm_c -action settlsprotocol -MinimumTLSProtocol '{version}'")
    assert (ran.code, ran.out, manager.asked) == (Code.USAGE, "", [])
    assert "valid are TLSv1, TLSv1.1, TLSv1.2, TLSv1.3" in ran.err


def test_dsm_c_takes_no_address_of_another_manager(tmp_path: Path) -> None:
    err = io.StringIO()
    env = {"PLIMSOLL_URL": "https://elsewhere:4119", "PLIMSOLL_API_KEY": "1:x", "PLIMSOLL_HOME": str(tmp_path)}
    arguments = ["-action", "settlsprotocol", "-MinimumTLSProtocol", "ShowValue"]
    assert dsm_c.main(arguments, Output(io.StringIO(), err, "dsm_c"), env) == Code.UNREACHABLE
    assert str(tmp_path) in err.getvalue()


def test_dsm_c_refused_raise_as_json() -> None:
    ran = shell().run("dsm_c -action settlsprotocol -MinimumTLSProtocol TLSv1.2 --json")
    assert ran.code == Code.BLOCKERS
    assert json.loads(ran.out)["blockers"][0]["who"] == "old-1"


def test_dsm_c_help() -> None:
    assert "settlsprotocol" in shell().run("dsm_c -help").out


def test_an_option_given_twice_is_an_error() -> None:
    ran = shell().run("dsm_c -action settlsprotocol -action settlsprotocol")
    assert ran.code == Code.USAGE
    assert "twice" in ran.err


@pytest.mark.parametrize(
    ("preflight", "code"),
    [(CLEAR, Code.OK), (BLOCKED, Code.BLOCKERS), ({**CLEAR, "affected": [OLD_PROGRAM]}, Code.AFFECTED)],
)
@pytest.mark.parametrize("form", ["", " --json"])
def test_preflight_says_by_its_exit_code_what_it_found(preflight: dict[str, object], code: Code, form: str) -> None:
    manager = FakeManager({("GET", "/api/tls/preflight"): (200, preflight)})
    ran = Shell(manager).run(f"plimsoll preflight --to TLSv1.2 --point gui{form}")
    assert ran.code == code
    assert manager.asked[0][2] == {"to": "TLSv1.2", "point": "gui"}


def test_a_forced_raise_names_those_it_cuts_off() -> None:
    changed = {"changed": [], "preflight": BLOCKED, "policies_pending": 1, "warnings": ["no relay was reached"]}
    manager = FakeManager({("POST", "/api/tls/floors"): (200, changed)})
    ran = Shell(manager).run('plimsoll floor set TLSv1.2 --point heartbeat --force --reason "PCI audit"')
    assert ran.code == 0
    assert "cut off by force" in ran.err
    assert "old-1" in ran.err
    assert "no relay was reached" in ran.err
    assert "1 policy waits" in ran.err
    assert manager.asked[0][3] == {"point": "heartbeat", "floor": "TLSv1.2", "force": True, "reason": "PCI audit"}


FORCED = '--force --reason "PCI audit" --seen'


@pytest.mark.parametrize(
    ("line", "path"),
    [
        (f"plimsoll floor set TLSv1.2 {FORCED}", "/api/tls/floors"),
        (f"plimsoll ciphers set strong {FORCED}", "/api/tls/ciphers"),
        (f"plimsoll change start --to TLSv1.2 {FORCED}", "/api/tls/changes"),
        ('dsm_c -action settlsprotocol -MinimumTLSProtocol TLSv1.2 -force "PCI audit" -seen', "/api/tls/minimum"),
    ],
)
def test_a_force_carries_whom_one_saw_and_only_newcomers_are_listed(line: str, path: str, tmp_path: Path) -> None:
    file = tmp_path / "names.json"
    file.write_text(shell().run("plimsoll preflight --to TLSv1.2 --json").out)
    late = {**BLOCKED, "message": "old-2 too", "blockers": [OLD_AGENT, {**OLD_AGENT, "id": "late", "who": "old-2"}]}
    manager = FakeManager(small_fleet() | {("POST", path): (409, late)})
    ran = Shell(manager).run(f"{line} {file}")
    assert ran.code == Code.BLOCKERS
    assert manager.asked[0][3]["seen"] == [OLD_AGENT["id"], OLD_PROGRAM["id"]]
    assert "old-2" in ran.err
    assert ("old-1" in ran.err) == ("change" in line)


@pytest.mark.parametrize("text", ["", "[]", '{"blockers": []}', '{"blockers": [{}], "affected": []}'])
def test_names_that_are_no_preflight_change_nothing(text: str, tmp_path: Path) -> None:
    file = tmp_path / "names.json"
    file.write_text(text)
    manager = FakeManager(small_fleet())
    ran = Shell(manager).run(f"plimsoll floor set TLSv1.2 {FORCED} {file}")
    assert (ran.code, manager.asked) == (Code.USAGE, [])
    assert "nothing was changed" in ran.err


def test_a_refused_raise_as_json_is_the_managers_answer() -> None:
    ran = shell().run("plimsoll floor set TLSv1.2 --json")
    assert ran.code == Code.BLOCKERS
    assert json.loads(ran.out)["affected"][0]["who"] == "billing"


def test_a_hand_edit_that_waits_is_told() -> None:
    floors = {"generation": 1, "minimum": "TLSv1.2", "floors": [], "drift": {"message": "protocols= was edited"}}
    manager = FakeManager(small_fleet() | {("GET", "/api/tls/floors"): (200, floors)})
    assert "protocols= was edited" in Shell(manager).run("plimsoll floor show").err


def test_ports_in_use_are_listed_and_many_are_cut_short() -> None:
    ran = shell().run("plimsoll floor show")
    assert "4122, 4132, 4142, …" in ran.out
    assert "4152" not in ran.out


@pytest.mark.rule("R8")
@pytest.mark.parametrize(
    ("options", "case"),
    [
        ("--installation new --oldest-agent 10.0", 1),
        ("--installation new --oldest-appliance 9.5", 2),
        ("--installation upgrade --oldest-agent 12.0 --oldest-relay '10.0 Update 8'", 3),
        ("--installation upgrade --oldest-agent 9.6", 4),
    ],
)
def test_advice_for_a_fleet_that_is_described(options: str, case: int) -> None:
    nobody = FakeManager({})
    ran = Shell(nobody).run(f"plimsoll advise {options} --json")
    assert (ran.code, json.loads(ran.out)["case"], nobody.asked) == (0, case, [])
    assert json.loads(ran.out)["title"] in Shell(nobody).run(f"plimsoll advise {options}").out


def test_advice_names_a_version_that_it_does_not_know() -> None:
    ran = shell().run("plimsoll advise --installation upgrade --oldest-appliance nine")
    assert ran.code == Code.USAGE
    assert "nine" in ran.err


@pytest.mark.rule("R19")
def test_the_guides_two_pictures() -> None:
    enforced = json.loads(shell().run("plimsoll picture --enforced --json").out)["links"]
    early = json.loads(shell().run("plimsoll picture --early --json").out)["links"]
    old = {(link["from"], link["point"]): link for link in enforced if "before 10.0" in link["from"]}
    assert {link["state"] for link in old.values()} == {"refused"}
    assert {link["version"] for link in early if "before 10.0" in link["from"]} == {"TLSv1"}
    assert not any(link["state"] == "refused" for link in early)


@pytest.mark.rule("R14")
def test_send_policy_asks_for_the_computers_by_id() -> None:
    manager = FakeManager(small_fleet())
    Shell(manager).run("plimsoll send-policy --computer relay-1 --computer 0f2")
    assert manager.asked[-1][3] == {"computers": [1, 2]}


def test_two_computers_of_one_name_must_be_told_apart() -> None:
    computers = {"computers": [{"ID": "a", "hostName": "web"}, {"ID": "b", "hostName": "web"}]}
    ran = Shell(FakeManager({("GET", "/api/computers"): (200, computers)})).run("plimsoll computers show web")
    assert ran.code == Code.USAGE
    assert "a, b" in ran.err


def test_a_new_user_gets_the_password_from_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    manager = FakeManager({("POST", "/api/administrators"): (200, {"username": "anna"})})
    monkeypatch.setattr(sys, "stdin", io.StringIO("correct horse\n"))
    assert Shell(manager).run("plimsoll user create anna --role operator").code == 0
    assert manager.asked[0][3] == {"username": "anna", "password": "correct horse", "role": "operator"}


def test_the_programs_home_option_reaches_every_command(tmp_path: Path) -> None:
    homes: list[Path | None] = []

    def connect(home: Path | None, _: object) -> _client.Client:
        homes.append(home)
        return _client.in_process(FakeManager(small_fleet()), "fake")

    session = Session(output=Output(io.StringIO(), io.StringIO()), env={}, connect=connect)
    main.main(["--home", str(tmp_path), "floor", "show"], session)
    main.main(["floor", "show", "--home", str(tmp_path / "own")], session)
    assert homes == [tmp_path, tmp_path / "own"]


@pytest.mark.parametrize("group", ["floor", "manager", "computers", "agent"])
def test_a_group_alone_shows_its_commands_and_is_a_usage_error(group: str) -> None:
    ran = shell().run(f"plimsoll {group}")
    assert (ran.code, ran.out) == (Code.USAGE, "")
    assert "Usage:" in ran.err


def test_version_as_json() -> None:
    assert json.loads(shell().run("plimsoll version --json").out)["plimsoll"].startswith("12.")


def test_start_up_loads_nothing_heavy() -> None:
    heavy = "httpx rich fastapi sqlalchemy cryptography uvicorn asyncio"
    code = (
        "import sys; from plimsoll.cli import tree, dsm_c; tree.build(); "
        f"print(*[m for m in {heavy.split()!r} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
