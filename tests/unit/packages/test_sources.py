"""Debian's source packages by a private apt: what the machine's own lists become."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from packages.sources import Archive, _compare, with_sources

DEB822 = """\
Types: deb
# a comment
URIs: http://mirror.test/debian
Suites: bookworm bookworm-updates
Components: main

Types: deb
URIs: http://mirror.test/debian-security
Suites: bookworm-security
Components: main

Types: deb
URIs: https://elsewhere.test/node_20.x
Suites: nodistro
Components: main
"""


def test_debians_archives_are_asked_for_sources_and_nobody_elses() -> None:
    text = with_sources(DEB822, ".sources")
    assert text.count("Types: deb-src") == 2
    assert "Types: deb\n" not in text and "elsewhere.test" not in text


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("deb http://mirror.test/debian bookworm main", "deb-src http://mirror.test/debian bookworm main"),
        ("deb [signed-by=/k] http://m.test/debian/ x main", "deb-src [signed-by=/k] http://m.test/debian/ x main"),
        ("deb-src http://mirror.test/debian bookworm main", ""),
        ("# deb http://mirror.test/debian bookworm main", ""),
        ("deb https://elsewhere.test/apt cloud main", ""),
    ],
)
def test_the_older_form_of_lists_is_read_too(line: str, expected: str) -> None:
    assert with_sources(line + "\n", ".list") == expected


def test_versions_are_ordered_as_dpkg_orders_them() -> None:
    assert _compare("3.0.9-1", "3.0.17-1~deb12u2") < 0 < _compare("3.0.17-1", "3.0.17-1~deb12u2")
    assert _compare("1:1.2", "1:1.2") == 0


def test_a_version_that_is_listed_and_not_there_gives_way_to_the_one_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A mirror's list runs ahead of its files; apt is played by scripts here."""
    tools = tmp_path / "tools"
    tools.mkdir()
    _script(tools / "apt-cache", 'printf "Version: 1.9-1\\nVersion: 1.10-1\\n"')
    _script(
        tools / "apt-get", 'case "$*" in *source*=1.9-1) echo "$*" >thing_1.9-1.dsc ;; *update*) ;; *) exit 100 ;; esac'
    )
    monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")
    found = Archive(tmp_path / "archive").fetch("thing")
    assert (found.version, found.dsc.name) == ("1.9-1", "thing_1.9-1.dsc")
    assert "thing 1.10-1 is listed" in capsys.readouterr().err


def _script(path: Path, body: str) -> None:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
