"""Whatever a value holds, it arrives as it is and runs nothing: in every sh here, and in PowerShell's grammar."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.support.powershell import literal, problems

from plimsoll.manager.deploy import quoting, scripts
from plimsoll.manager.deploy.quoting import UnquotableError
from plimsoll.manager.deploy.scripts import Activating, PackageRow, Source

SHELLS = [shell for shell in ("dash", "bash", "busybox") if shutil.which(shell)]
HOSTILE = (
    "'; touch /tmp/owned; '",
    "$(touch /tmp/owned)",
    "`touch /tmp/owned`",
    '"$HOME" ${IFS} \\ \\\' \\\\',
    "' + (Get-Date) + '",
    "\u2019 + $env:USERNAME + \u2018; \u201a\u201b",
    '"; Remove-Item C:\\ ; "',
    "@' \n '@",
    "-rf --insecure %s %n",
    "!! !x ~ * ? [a-z] {a,b} # comment",
    "a\nb\n\nTOKEN=stolen\n",
    " leading and trailing ",
    "Zoë 日本語 \U0001f6a2",
    "",
)
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=60)
hostile = st.one_of(
    st.sampled_from(HOSTILE),
    texts,
    st.lists(st.sampled_from(list("'\"`$\\\n;&|<>(){}!#~*?% \u2018\u2019")), max_size=30).map("".join),
)


def arrived(shell: str, values: list[str]) -> list[str]:
    head = quoting.sh_head([(f"V{number}", value) for number, value in enumerate(values)])
    words = " ".join(f'"$V{number}"' for number in range(len(values)))
    command = [shell, "sh"] if shell == "busybox" else [shell]
    script = f"(\n{head}printf '%s\\0' {words}\n)\n"
    done = subprocess.run(command, input=script.encode(), capture_output=True, check=True)
    assert done.stderr == b""
    return done.stdout.decode().split("\0")[:-1]


@pytest.mark.rule("R21")
@pytest.mark.parametrize("shell", SHELLS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(values=st.lists(hostile, min_size=1, max_size=20))
@example(values=list(HOSTILE))
def test_values_arrive_in_sh_as_they_are(shell: str, values: list[str]) -> None:
    assert arrived(shell, values) == values


@pytest.mark.rule("R21")
@settings(max_examples=300, deadline=None)
@given(value=hostile)
def test_a_value_is_one_literal_of_powershell(value: str) -> None:
    source = f"$Value = {quoting.powershell(value)}\n$After = 'reached'\n"
    assert source.isascii()
    assert problems(source) == []
    assert literal(source, "Value") == value
    assert literal(source, "After") == "reached"


@settings(max_examples=200, deadline=None)
@given(value=hostile)
def test_what_is_for_people_is_one_plain_line_or_is_refused(value: str) -> None:
    try:
        assert quoting.checked("the name", value) == value
    except UnquotableError as error:
        assert "the name" in str(error)
        assert "no script was made" in str(error)
        assert not value.isprintable() or len(value) > quoting.LONGEST


@pytest.mark.parametrize(
    "value", ["a\nb", "a\tb", "\x1b[31m", "\x7f", "\x9b2J", "x\u202etxt", "\u2066", "\ud800", "x" * 2001]
)
def test_what_a_terminal_would_act_on_is_refused(value: str) -> None:
    with pytest.raises(UnquotableError):
        quoting.checked("the name", value)
    with pytest.raises(UnquotableError):
        quoting.sh("a\0b")


PACKAGE = PackageRow("Debian_12", "x86_64", "deb", "12.1.0", "a" * 64, "agent.deb")
SOURCE = Source(
    url="https://manager:4119", verify="ca", ca="-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
)


@pytest.mark.rule("R21")
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=hostile, token=hostile, url=hostile)
def test_a_whole_script_with_hostile_values_runs_only_itself(tmp_path: Path, name: str, token: str, url: str) -> None:
    """The real script in a real shell, with an agent that writes down what it was given."""
    how = Activating(url=f"dsm://{url}", token=f"pt1.{token}", display_name=name, policy="7")
    try:
        script = scripts.linux("12.0", SOURCE, [PACKAGE], how)
    except UnquotableError:
        return
    control = tmp_path / "dsa_control"
    control.write_text(f"#!/bin/sh\nprintf '%s\\0' \"$@\" >{tmp_path}/words\ncat >{tmp_path}/typed\n")
    control.chmod(0o755)
    # Only activates, as it does at the end of a deployment.
    alone = script.replace("/opt/ds_agent/dsa_control", str(control)).replace(
        "\nmain\n)", "\nAGENT_VERSION=12.1.0\nactivate\n)"
    )
    assert alone != script
    done = subprocess.run(["sh"], input=alone.encode(), capture_output=True, cwd=tmp_path)
    words = (tmp_path / "words").read_bytes().decode().split("\0")[:-1]
    # The last call is the first heartbeat.
    assert (done.returncode, words) == (0, ["-m"]), done.stderr
    control.write_text(
        f'#!/bin/sh\n[ "$1" = -m ] || {{ printf \'%s\\0\' "$@" >{tmp_path}/words; cat >{tmp_path}/typed; }}\n'
    )
    subprocess.run(["sh"], input=alone.encode(), capture_output=True, cwd=tmp_path, check=True)
    words = (tmp_path / "words").read_bytes().decode().split("\0")[:-1]
    named = [f"displayname:{name}"] if name else []
    assert words == ["-a", f"dsm://{url}", "policyid:7", *named, "token:-"]
    assert (tmp_path / "typed").read_bytes().decode() == f"pt1.{token}\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dsa_control", "typed", "words"]


@settings(max_examples=50, deadline=None)
@given(name=hostile, token=hostile, url=hostile)
def test_a_whole_powershell_script_with_hostile_values_is_still_one_head_and_one_body(
    name: str, token: str, url: str
) -> None:
    how = Activating(url=f"dsm://{url}", token=f"pt1.{token}", display_name=name)
    try:
        script = scripts.workaround_windows("12.0", "http://web", "agent.msi", PACKAGE, how)
    except UnquotableError:
        return
    assert script.isascii()
    assert literal(script, "DisplayName") == name
    assert literal(script, "Token") == f"pt1.{token}"
    assert literal(script, "ActivationUrl") == f"dsm://{url}"
