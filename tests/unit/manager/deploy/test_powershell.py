"""The Windows scripts, read by a real grammar: they are whole, and the workaround is no newer than 2.0 (R22)."""

from __future__ import annotations

import re

import pytest
from tests.support.powershell import literal, newer_than_2, parse, problems, text, walk
from tests.unit.manager.deploy.test_quoting import SOURCE

from plimsoll.manager.deploy import scripts
from plimsoll.manager.deploy.scripts import Activating, PackageRow

PACKAGE = PackageRow("Windows", "x86_64", "msi", "12.1.0", "b" * 64, "agent.msi")
HOW = Activating(url="dsm://manager:4120/", token="pt1.a.b.c", policy="3", relay=True, until="until tomorrow")
MAIN = scripts.windows("12.0", SOURCE, [PACKAGE], HOW)
WORKAROUND = scripts.workaround_windows("12.0", "http://web/agents/", "agent.msi", PACKAGE, HOW)


def commands(script: str) -> list[str]:
    return [text(node) for node in walk(parse(script)) if node.type == "command"]


@pytest.mark.parametrize("script", [MAIN, WORKAROUND], ids=["main", "workaround"])
def test_a_script_is_a_whole_program_in_ascii_with_windows_line_ends(script: str) -> None:
    assert problems(script) == []
    assert script.isascii()
    assert "\n" not in script.replace("\r\n", "")


@pytest.mark.rule("R22")
def test_the_workaround_uses_nothing_newer_than_powershell_2() -> None:
    assert newer_than_2(WORKAROUND) == []
    assert WORKAROUND.startswith("#requires -version 2.0")


@pytest.mark.rule("R22")
def test_the_workaround_does_what_the_rule_says_in_its_order() -> None:
    steps = [
        "'Plimsoll\\installer'", "Start-Transcript -Path", "dsa_deploy.log", "Download begins",
        ".DownloadFile($address, $File)",
        "Download ended", ".Length -eq 0", "Stop-Deployment 1 ", "Its size: {0} bytes", "Installation begins",
        "/i \"{0}\" /qn /norestart ADDLOCAL=ALL /l*v \"{1}\"", "-Wait -PassThru", "Installation ended with exit code",
    ]  # fmt: skip
    at = 0
    for step in steps:
        found = WORKAROUND.find(step, at if step != "Start-Transcript -Path" else 0)
        assert found >= 0, step
        at = found
    assert literal(WORKAROUND, "BaseUrl") == "http://web/agents"
    assert "Join-Path -Path $env:temp -ChildPath 'agent.msi'" in WORKAROUND
    assert "Stop-Transcript" in WORKAROUND


@pytest.mark.rule("R21")
def test_the_generated_script_wants_4_0_and_tls_1_2_and_takes_1_3_where_windows_has_it() -> None:
    assert MAIN.startswith("#requires -version 4.0\r\n")
    assert "[Net.SecurityProtocolType]::Tls12" in MAIN
    assert "-contains 'Tls13'" in MAIN
    assert "-bor [Net.SecurityProtocolType]::Tls13" in MAIN
    assert not re.search(r"::(Ssl3|Tls|Tls11)\b", MAIN)
    assert newer_than_2(MAIN), "the check of 2.0 can tell"
    names = " ".join(commands(MAIN))
    for wanted in ("Get-FileHash", "Start-Process", "Start-Transcript", "Stop-Transcript"):
        assert wanted in names
    assert "/l*v" in MAIN


def test_what_is_compiled_is_whole_c_sharp() -> None:
    source = MAIN.partition("$TrustSource = @'")[2].partition("'@")[0]
    assert "ServerCertificateValidationCallback" in source
    assert problems(source, "c-sharp") == []
    assert problems(source.replace("return false;", "return", 1), "c-sharp")


@pytest.mark.parametrize("script", [MAIN, WORKAROUND], ids=["main", "workaround"])
def test_a_script_that_was_cut_off_is_none(script: str) -> None:
    """The last line ends it; whatever is missing before breaks the grammar or never begins the work."""
    lines = script.split("\r\n")
    begins = max(number for number, line in enumerate(lines) if line.startswith("try {"))
    for cut in range(begins + 1, len(lines) - 3):
        assert problems("\r\n".join(lines[:cut])), lines[cut - 1]


@pytest.mark.parametrize(
    "line",
    [
        "Invoke-WebRequest -Uri $a -OutFile $b",
        "$a = Get-FileHash $File",
        "Get-Item -Path $a -Stream b",
        "if ($a -in @(1, 2)) { $b = 1 }",
        "$a = $b -notin @(1)",
        "$a = [pscustomobject]@{ b = 1 }",
        "$a = [ordered]@{ b = 1 }",
        "class A { [int]$b }",
        "enum A { b }",
        "$a = $PSScriptRoot",
        "$a = [Net.Http.HttpClient]::new()",
        "$a = New-Object -TypeName Net.Http.HttpClient",
        "$b.Where({ $_ })",
        "Write-Host a && Write-Host b",
        "Write-Host a *> b",
        "[Environment]::Is64BitOperatingSystem",
        "#requires -version 3.0",
        "using namespace System.IO",
    ],
)
def test_the_check_finds_what_is_newer(line: str) -> None:
    assert newer_than_2(f"{line}\n") or problems(f"{line}\n")
