"""The balancer's configuration in docs/nodes.md is one that HAProxy takes."""

from __future__ import annotations

import re
import shutil
import textwrap
from pathlib import Path

import pytest
from tests.support.homes import new_home
from tests.support.process import run

NODES = Path(__file__).parents[2] / "docs" / "nodes.md"


def test_haproxy_takes_what_the_page_shows(tmp_path: Path) -> None:
    program = shutil.which("haproxy")
    if program is None:
        pytest.skip("there is no haproxy")
    (shown,) = re.findall(r"^ *```\n( *defaults\n.*?)^ *```", NODES.read_text(), re.MULTILINE | re.DOTALL)
    home, _ = new_home(tmp_path, "sqlite")
    text = textwrap.dedent(shown).replace("/etc/haproxy/plimsoll-ca.pem", str(home / "ca" / "ca.pem"))
    (tmp_path / "haproxy.cfg").write_text(text)
    done = run([program, "-c", "-f", tmp_path / "haproxy.cfg"])
    assert done.returncode == 0, done.stderr
    # Heartbeats are answered while no manager is ready: 4120 goes to somebody even then.
    assert text.count("no-check backup") == 2
