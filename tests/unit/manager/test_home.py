from __future__ import annotations

import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography import x509
from tests.support.homes import FIXTURES, new_home

from plimsoll.manager import config
from plimsoll.manager.config import ConfigurationError
from plimsoll.manager.home import HomeError, init_home, open_home
from plimsoll.manager.ports import BadInput
from plimsoll.messages.token import ActivationToken


def test_init_says_what_is_shown_once(tmp_path: Path) -> None:
    home, made = new_home(tmp_path)
    answer = made.as_json()
    assert {"admin_user", "admin_password", "api_key", "activation_token", "ca_certificate"} <= set(answer)
    opened = open_home(home)
    try:
        assert ActivationToken.parse(made.activation_token).ca_hash == opened.store.read(opened.ca).issuing.key_hash
        x509.load_pem_x509_certificate(opened.ca_certificate.read_bytes())
        assert opened.installation == opened.keys.installation
    finally:
        opened.close()


def test_everything_secret_is_the_owners_alone(tmp_path: Path) -> None:
    home, _ = new_home(tmp_path)
    opened = open_home(home)
    opened.close()
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    for path in home.rglob("*"):
        mode = stat.S_IMODE(path.stat().st_mode)
        if path.name != "ca.pem":
            assert mode & 0o077 == 0, f"{path} has mode {mode:o}"


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    home, _ = new_home(tmp_path)
    with pytest.raises(HomeError, match="home already"):
        init_home(home)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "letter.txt").write_text("dear")
    with pytest.raises(HomeError, match="not empty"):
        init_home(tmp_path / "other")
    with pytest.raises(HomeError, match="not empty"):
        init_home(tmp_path / "other" / "letter.txt")
    assert (tmp_path / "other" / "letter.txt").read_text() == "dear"
    for ports in ((70000, 4120), (4119, 4119), (-1, 4120)):
        with pytest.raises(HomeError, match="nothing was made"):
            init_home(tmp_path / "new", *ports)
    assert not (tmp_path / "new").exists()
    with pytest.raises(HomeError, match="not a manager's home"):
        open_home(tmp_path / "other")


def test_a_second_manager_is_refused_and_told_who_holds_the_home(tmp_path: Path) -> None:
    home, _ = new_home(tmp_path)
    script = (
        "import sys, pathlib; from plimsoll.manager.home import open_home; "
        "open_home(pathlib.Path(sys.argv[1])); print('open', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", script, str(home)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=FIXTURES.parents[2]) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"open\n"
        with pytest.raises(HomeError, match=f"in use by process {other.pid};"):
            open_home(home)
        other.kill()
    # A manager that was killed holds nothing.
    open_home(home).close()


def test_a_malformed_file_stops_the_start(tmp_path: Path) -> None:
    home, _ = new_home(tmp_path)
    path = home / "configuration.properties"
    good = path.read_text()
    path.write_text(good + "guiPort\n")
    line = good.count("\n") + 1
    with pytest.raises(ConfigurationError, match=f"line {line}, column 8"):
        open_home(home)
    path.write_text(good)
    open_home(home).close()


def test_a_missing_store_is_not_made_anew(tmp_path: Path) -> None:
    home, _ = new_home(tmp_path)
    (home / "plimsoll.db").unlink()
    with pytest.raises(HomeError, match="cannot be guessed"):
        open_home(home)
    assert not (home / "plimsoll.db").exists()


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("oracle", "must be sqlite or an address"),
        ("postgresql://anna:hidden@db/fleet", "a password does not stand in this file"),
        ("postgresql://anna@db/fleet?sslmode=on&passfile=/hidden", "none of disable"),
    ],
)
def test_another_database_is_refused_with_its_line_and_without_its_secrets(
    tmp_path: Path, value: str, words: str
) -> None:
    home, _ = new_home(tmp_path)
    path = home / "configuration.properties"
    line = len(path.read_text().splitlines()) + 1
    with path.open("a") as file:
        file.write(f"database={value}\n")
    with pytest.raises(ConfigurationError, match=words) as caught:
        open_home(home)
    assert (caught.value.line, caught.value.column) == (line, 10)
    assert "hidden" not in caught.value.message


def test_a_ca_whose_halves_do_not_fit_is_refused(tmp_path: Path) -> None:
    home, _ = new_home(tmp_path)
    shutil.copy(home / "tls" / "gui-rsa.key", home / "ca" / "ca.key")
    with pytest.raises(Exception, match="do not belong together"):
        open_home(home)


def names(path: Path) -> set[str]:
    leaf = x509.load_pem_x509_certificates(path.read_bytes())[0]
    san = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {str(name.value) for name in san}


def test_the_managers_certificates_follow_its_names_and_age(tmp_path: Path) -> None:
    home, _ = new_home(tmp_path)
    leaf = home / "tls" / "gui-ecdsa.pem"
    key = (home / "tls" / "gui-ecdsa.key").read_bytes()
    assert {"localhost", "127.0.0.1"} <= names(leaf)
    with (home / "configuration.properties").open("a") as file:
        file.write("publicName=manager.example.test\n")
    opened = open_home(home)
    try:
        assert "manager.example.test" in names(leaf)
        assert opened.serving_names()[0] == "manager.example.test"
        before = leaf.read_bytes()
        opened.ensure_serving(leaf.stat().st_mtime + 86400)
        assert leaf.read_bytes() == before
        opened.ensure_serving(leaf.stat().st_mtime + 300 * 86400)
        assert leaf.read_bytes() != before
        assert (home / "tls" / "gui-ecdsa.key").read_bytes() == key
        assert len(x509.load_pem_x509_certificates(leaf.read_bytes())) == 2, "the CA goes along"
    finally:
        opened.close()


def test_the_properties_of_a_new_home_are_read_back(tmp_path: Path) -> None:
    init_home(tmp_path / "h", 14119, 14120, "127.0.0.1", "plimsoll.example.test")
    read = config.load(tmp_path / "h" / "configuration.properties")
    assert (read.gui_port, read.heartbeat_port, read.listen_address) == (14119, 14120, "127.0.0.1")
    assert (read.public_name, read.protocols, read.unknown) == ("plimsoll.example.test", None, ())
    assert "plimsoll.example.test" in names(tmp_path / "h" / "tls" / "heartbeat-rsa.pem")


@pytest.mark.parametrize("name", ["bad name", "a\nprotocols=TLSv1", "-a", "a/b", "dsm."])
def test_a_name_that_is_no_host_s_makes_nothing(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInput):
        init_home(tmp_path / "home", name=name)
    assert not (tmp_path / "home").exists()
