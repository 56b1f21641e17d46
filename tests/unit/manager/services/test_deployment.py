"""Which packages a script installs, what is refused before a token is made, and what a floor forbids (R20)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.homes import ROOT, Desk, desk
from tests.support.releases import Publisher

from plimsoll.manager.ca import key_pem
from plimsoll.manager.ports import BadInput, NotFound
from plimsoll.manager.services.deployable import Undeployable
from plimsoll.manager.services.deployment import Script, ScriptRequest
from plimsoll.messages import Kind
from plimsoll.testing.certificates import TestAuthority
from plimsoll.tls.floors import Point


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Desk]:
    with desk(tmp_path) as opened:
        yield opened


@pytest.fixture
def publisher(at: Desk) -> Publisher:
    return Publisher().trusted_by(at.services)


def take(at: Desk, publisher: Publisher, version: str, platform: str, ending: str, **said: Any) -> None:
    content = f"{version} {platform} {ending} {said}".encode()
    file = f"agent-{version.replace(' ', '-')}-{platform}.{ending}"
    publisher.import_into(at.services, content, version=version, platform=platform, file=file, **said)


def make(at: Desk, **wanted: Any) -> Script:
    return at.services.deployment.make(ROOT, ScriptRequest(**wanted))


def rows(script: Script) -> list[str]:
    return [f"{one.version} {one.platform} {one.architecture}" for one in script.packages]


def test_a_script_carries_the_newest_package_of_each_system_with_its_digest(at: Desk, publisher: Publisher) -> None:
    for version in ("12.0.0", "12.1.0", "10.0 Update 8"):
        take(at, publisher, version, "Debian_12", "deb")
    take(at, publisher, "12.0.0", "Linux", "rpm")
    take(at, publisher, "12.0.0", "Linux", "deb")
    take(at, publisher, "12.2.0", "Windows", "msi")
    script = make(at)
    assert sorted(rows(script)) == ["12.0.0 Linux x86_64", "12.0.0 Linux x86_64", "12.1.0 Debian_12 x86_64"]
    for one in script.packages:
        assert f" {one.version} {one.sha256} {one.file}" in script.text
    assert rows(make(at, system="windows")) == ["12.2.0 Windows x86_64"]
    old = make(at, version="10.0 Update 8")
    assert rows(old) == ["10.0 Update 8 Debian_12 x86_64"]
    assert " 10.0_Update_8 " in old.text
    take(at, publisher, "12.3.0", "SuSE_15", "rpm")
    assert "SuSE_15" not in make(at, platform="Debian_12").text
    assert rows(make(at, platform="Debian_12", architecture="x86_64"))[0] == "12.1.0 Debian_12 x86_64"


def test_its_token_is_for_its_kind_and_time_and_stands_in_the_script_alone(at: Desk, publisher: Publisher) -> None:
    take(at, publisher, "12.1.0", "Linux", "deb")
    script = make(at, relay=True, token_seconds=3600.0, token_uses=5)
    token = next(one for one in at.services.activation.tokens(ROOT) if one.id == script.token_id)
    assert (token.kind, token.uses) == (Kind.RELAY, 5)
    assert token.expires == pytest.approx(time.time() + 3600, abs=60)
    text = next(line for line in script.text.splitlines() if line.startswith("TOKEN=")).split("'")[1]
    assert at.activate("relay", kind=Kind.RELAY, token=text).computer
    secret = text.split(".")[2]
    everything = "\n".join(str(row) for row in at.home.store.read(lambda c: [*c.connection.iterdump()]))
    assert secret not in everything
    audit = [entry for entry in at.services.access.audit(ROOT, 50) if entry.action == "deployment.script"]
    assert audit
    assert secret not in str(audit)
    assert make(at, activate=False).token_id == ""
    kept = at.services.activation.create_token(ROOT, 1).token
    before = len(at.services.activation.tokens(ROOT))
    assert f"TOKEN='{kept}'" in make(at, token=kept).text
    assert len(at.services.activation.tokens(ROOT)) == before


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"version": "12.9"}, "no agent package 12.9"),
        ({"version": "new"}, "unknown component version"),
        ({"system": "windows"}, r"no agent package \(.msi\) for Windows"),
        ({"policy": "77"}, "there is no policy '77'; no script was made"),
        ({"relay_group": "nowhere"}, "there is no relay group"),
        ({"display_name": "a\nb"}, "the display name has a control character"),
        ({"manager": "host; rm -rf /"}, "is no host name"),
        ({"ca": "not PEM"}, "the CA is no certificate in PEM"),
        ({"token": "hello"}, "not an activation token"),
        ({"token": "pt1.a.b.c"}, "another manager's"),
        ({"workaround": "pkg", "base_url": "http://web"}, "there is no workaround 'pkg'"),
        ({"workaround": "windows", "base_url": "http://web"}, "is not for linux"),
        ({"workaround": "rpm"}, "give its base URL"),
        ({"workaround": "rpm", "base_url": "ftp://web/"}, "give its base URL"),
        ({"workaround": "rpm", "base_url": "http://web/$(id)?x"}, "give its base URL"),
        ({"workaround": "dpkg", "base_url": "http://web", "file": "../agent.deb"}, "is no plain file name"),
        ({"base_url": "http://web"}, "belongs to a workaround"),
        ({"token_seconds": 400 * 86400.0}, "at most a year"),
    ],
)
def test_what_is_wrong_makes_no_script_and_no_token(
    at: Desk, publisher: Publisher, wanted: dict[str, Any], said: str
) -> None:
    take(at, publisher, "12.1.0", "Linux", "deb")
    before = len(at.services.activation.tokens(ROOT))
    with pytest.raises((BadInput, NotFound), match=said):
        make(at, **wanted)
    assert len(at.services.activation.tokens(ROOT)) == before


def test_on_windows_a_name_that_its_programs_would_not_get_is_refused(at: Desk, publisher: Publisher) -> None:
    take(at, publisher, "12.1.0", "Windows", "msi")
    for name in ('a "b"', "a\\"):
        with pytest.raises(BadInput, match="on Windows"):
            make(at, system="windows", display_name=name)


def test_what_4119_shows_is_what_a_script_trusts(at: Desk, publisher: Publisher) -> None:
    take(at, publisher, "12.1.0", "Linux", "deb")
    script = make(at, manager="localhost")
    assert "VERIFY='ca'" in script.text
    assert at.home.keys.first.certificate_pem.strip() in script.text
    assert script.notes == ()
    other = make(at, manager="elsewhere.example.com")
    assert "does not name elsewhere.example.com" in other.notes[0]
    open_ = make(at, verify="none")
    assert "VERIFY='none'" in open_.text
    assert "IS NOT CHECKED" in open_.notes[0]
    company = TestAuthority()
    leaf = company.leaf("manager", "gui", hosts=["localhost"])
    at.services.certificates.set(ROOT, leaf.chain, key_pem(leaf.key))
    assert "VERIFY='system'" in make(at, manager="localhost").text
    carried = make(at, manager="localhost", ca=company.pem.decode() + "-----BEGIN PRIVATE KEY-----\nAA==\n")
    assert "VERIFY='ca'" in carried.text
    assert company.pem.decode().strip() in carried.text
    assert "PRIVATE KEY" not in carried.text


@pytest.mark.rule("R22")
def test_a_workaround_is_for_one_package_and_says_which(at: Desk, publisher: Publisher) -> None:
    with pytest.raises(NotFound, match=r"no agent package \(.rpm\)"):
        make(at, workaround="rpm", base_url="http://web")
    unchecked = make(at, workaround="rpm", base_url="http://web", unchecked=True)
    assert "SHA256=''" in unchecked.text
    assert "FILE='agent.rpm'" in unchecked.text
    assert "IS NOT CHECKED" in unchecked.notes[0]
    take(at, publisher, "12.1.0", "RedHat_EL8", "rpm")
    take(at, publisher, "12.0.0", "RedHat_EL8", "rpm")
    script = make(at, workaround="rpm", base_url="http://web/x/")
    assert rows(script) == ["12.1.0 RedHat_EL8 x86_64"]
    assert "BASE_URL='http://web/x'" in script.text
    assert f"SHA256='{script.packages[0].sha256}'" in script.text
    take(at, publisher, "12.1.0", "SuSE_15", "rpm")
    with pytest.raises(BadInput, match=r"say which system .* there is .*SuSE_15 x86_64"):
        make(at, workaround="rpm", base_url="http://web")
    assert rows(make(at, workaround="rpm", base_url="http://web", platform="Rocky_8")) == ["12.1.0 RedHat_EL8 x86_64"]


@pytest.mark.rule("R20")
def test_an_old_agent_is_named_and_stopped_and_goes_out_after_lowering(at: Desk, publisher: Publisher) -> None:
    take(at, publisher, "9.6.2", "RedHat_EL6", "rpm")
    with pytest.raises(Undeployable) as refused:
        make(at)
    assert "agent 9.6.2 for RedHat_EL6 x86_64 speaks TLSv1 at most" in refused.value.message
    assert [one.point for one in refused.value.obstacles] == [Point.HEARTBEAT, Point.GUI, Point.RELAY]
    with pytest.raises(Undeployable):
        at.services.deployment.find("RedHat_EL6", "x86_64", "9.6.2", "agent.rpm", "127.0.0.9", controlled=False)
    listed = at.services.deployment.preflight(ROOT)
    assert [(one.package.version, bool(one.obstacles)) for one in listed] == [("9.6.2", True)]
    take(at, publisher, "12.1.0", "RedHat_EL8", "rpm")
    script = make(at)
    assert rows(script) == ["12.1.0 RedHat_EL8 x86_64"]
    assert "left out: agent 9.6.2 for RedHat_EL6" in script.notes[0]
    with pytest.raises(Undeployable):
        make(at, version="9.6.2")
    at.services.floors.set_minimum(ROOT, "TLSv1")
    assert rows(make(at, version="9.6.2")) == ["9.6.2 RedHat_EL6 x86_64"]
    one, path = at.services.deployment.find("RedHat_EL6", "x86_64", "9.6.2", "agent.rpm", "", controlled=False)
    assert (one.version, path.is_file()) == ("9.6.2", True)


@pytest.mark.rule("R20")
def test_who_may_stay_below_the_floor_may_be_deployed_there(at: Desk, publisher: Publisher) -> None:
    take(at, publisher, "9.6.2", "RedHat_EL6", "rpm")
    at.services.floors.set(ROOT, "TLSv1", "relay")
    until = time.time() + 3600
    for point in ("heartbeat", "gui"):
        at.services.exceptions.add(ROOT, point=point, floor="TLSv1", source="10.1.0.0/16", reason="old", until=until)
    script = make(at)
    assert rows(script) == ["9.6.2 RedHat_EL6 x86_64"]
    assert "exceptions let it in from 10.1.0.0/16 only" in script.notes[0]
    find = at.services.deployment.find
    assert find("RedHat_EL6", "x86_64", "9.6.2", "agent.rpm", "10.1.2.3", controlled=False)
    with pytest.raises(Undeployable):
        find("RedHat_EL6", "x86_64", "9.6.2", "agent.rpm", "10.2.2.3", controlled=False)


def test_hosts_find_their_package_by_platform_family_and_kind(at: Desk, publisher: Publisher) -> None:
    take(at, publisher, "9.6.2", "RedHat_EL8", "rpm")
    take(at, publisher, "12.0.0", "RedHat_EL8", "rpm")
    take(at, publisher, "12.1.0", "Linux", "rpm")
    take(at, publisher, "12.1.0", "Linux", "deb")

    def find(platform: str, file: str = "", version: str = "", *, controlled: bool = True) -> str:
        found, _ = at.services.deployment.find(platform, "x86_64", version, file, "", controlled=controlled)
        return f"{found.version} {found.file}"

    assert find("RedHat_EL8", "agent.rpm") == "12.0.0 agent-12.0.0-RedHat_EL8.rpm"
    assert find("Oracle_OL8", "anything.rpm") == "12.0.0 agent-12.0.0-RedHat_EL8.rpm"
    assert find("SuSE_15", "agent.rpm") == "12.1.0 agent-12.1.0-Linux.rpm"
    assert find("Debian_11") == "12.1.0 agent-12.1.0-Linux.deb"
    assert find("RedHat_EL9") == "12.1.0 agent-12.1.0-Linux.rpm"
    assert find("RedHat_EL8", "agent.rpm", "latest") == "12.0.0 agent-12.0.0-RedHat_EL8.rpm"
    with pytest.raises(NotFound, match=r"no agent \(.msi\) for Windows x86_64"):
        find("Windows")
    with pytest.raises(NotFound, match=r"no agent 12\.7"):
        find("RedHat_EL8", "agent.rpm", "12.7")
    for file in ("agent.exe", "../../ca.key", "agent"):
        with pytest.raises(BadInput, match="is no package"):
            find("RedHat_EL8", file)
    take(at, publisher, "9.5.1", "SuSE_11", "rpm")
    with pytest.raises(Undeployable):
        find("SuSE_11", "agent.rpm", controlled=False)
    # The generic one fits there, says who controls versions.
    assert find("SuSE_11", "agent.rpm") == "12.1.0 agent-12.1.0-Linux.rpm"
