"""Proof on a live manager: `plimsoll proof`, checked offline, looked at in a browser (R10, R17, R18)."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.manager import Manager, manager, peer
from tests.support.process import eventually, free_ports, parse_json, run

pytestmark = pytest.mark.xdist_group("proof")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Manager]:
    with manager(tmp_path_factory.mktemp("proof") / "home") as made:
        yield made


@pytest.mark.rule("R17")
@pytest.mark.rule("R10")
def test_a_bundle_names_what_is_proved_what_is_violated_and_what_is_not_proved(
    running: Manager, tmp_path: Path
) -> None:
    (port,) = free_ports(1)
    running.set_minimum("TLSv1.2")
    more = ["--relay-port", str(port)]
    with peer(running, tmp_path / "relay", "11.0", kind="relay", address="127.0.0.81", more=more):
        eventually(lambda: "relay" in running.computers(), "the relay came")
        assert running.cli("scope", "add", "--point", "gui", "--note", "cards").returncode == 0
        first = running.cli("proof", "--out", tmp_path / "one", "--json")
        answer = parse_json(first)
        assert first.returncode == 3, "a relay of 11.0 accepts early TLS until its policy is sent"
        assert [(one["point"], one["verdict"]) for one in answer["open"]] == [("relay", "violated")]
        assert running.cli("send-policy", "--all").returncode == 0

        def proved() -> bool:
            shutil.rmtree(tmp_path / "two", ignore_errors=True)
            return running.cli("proof", "--out", tmp_path / "two").returncode == 0

        eventually(proved, "the relay has taken its floor home")
    silent = running.cli("proof", "--out", tmp_path / "three")
    assert silent.returncode == 4
    assert "not proved: relay of relay" in silent.stdout
    key = tmp_path / "key.pem"
    assert running.cli("proof", "key", "--out", key).returncode == 0
    running.stop()
    try:
        for folder in ("one", "two", "three"):
            checked = run([*_plimsoll(), "proof", "verify", tmp_path / folder, "--key", key])
            assert checked.returncode == 0, checked.stdout + checked.stderr
            assert "signed with the given key" in checked.stdout
        assert run([*_plimsoll(), "proof", "verify", tmp_path / "two"]).returncode == 4
        bundle = tmp_path / "two" / "bundle.json"
        bundle.write_text(bundle.read_text().replace('"TLSv1.2"', '"TLSv1.3"', 1))
        damaged = run([*_plimsoll(), "proof", "verify", tmp_path / "two", "--key", key])
        assert damaged.returncode == 3
        assert "bundle.json was changed" in damaged.stdout
        assert running.cli("proof", "--out", tmp_path / "two").returncode == 2, "nothing is overwritten"
    finally:
        running.start()


def _plimsoll() -> list[str]:
    from tests.support.manager import PLIMSOLL

    return [str(PLIMSOLL)]


def test_the_page_opens_in_a_browser_and_prints(running: Manager, tmp_path: Path) -> None:
    assert running.cli("proof", "--out", tmp_path / "b").returncode in (0, 4)
    chromium = shutil.which("chromium")
    assert chromium, "make deps installs it"
    address = f"file://{tmp_path}/b/proof.html"
    command = [chromium, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    pdf = tmp_path / "proof.pdf"
    subprocess.run([*command, f"--print-to-pdf={pdf}", address], check=True, capture_output=True, timeout=60)
    assert pdf.read_bytes().startswith(b"%PDF")
    shown = subprocess.run([*command, "--dump-dom", address], check=True, capture_output=True, timeout=60, text=True)
    assert "What handshakes showed" in shown.stdout
