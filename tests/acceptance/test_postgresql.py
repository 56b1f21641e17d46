"""A manager whose store is in PostgreSQL, and whose server is stopped and started under it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support import postgres
from tests.support.manager import PLIMSOLL, Manager, manager, peer
from tests.support.process import Service, eventually, parse_json
from tests.support.tools import s_client, s_client_early

from plimsoll.testing.certificates import TestAuthority, key_pem


@pytest.fixture(scope="module")
def server() -> Iterator[postgres.Server]:
    with postgres.server() as made:
        yield made


@pytest.fixture(scope="module")
def stored(server: postgres.Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Manager]:
    folder = tmp_path_factory.mktemp("manager")
    (folder / "password").write_text(postgres.PASSWORD + "\n")
    more = (
        "--database",
        server.tcp_url(postgres.new_database(server)),
        "--database-password-file",
        folder / "password",
    )
    with manager(folder / "home", *more) as made:
        made.quick_policy()
        yield made


def database_of(manager: Manager) -> dict[str, Any]:
    return manager.get("/api/manager/status")["database"]


@pytest.mark.rule("R4")
def test_which_database_it_is_and_what_protects_the_way_there(stored: Manager, server: postgres.Server) -> None:
    shown = database_of(stored)
    assert shown["engine"] == "postgresql"
    assert shown["state"] == "reachable"
    assert shown["connection"] == "not encrypted"
    told = stored.cli("manager", "status")
    assert told.returncode == 0
    assert "database engine:" in told.stdout
    assert "secret" not in told.stdout + told.stderr
    assert stored.cli("preflight", "--to", "TLSv1.2").returncode == 0


@pytest.mark.rule("R13")
def test_floors_go_up_and_down_and_stay_through_a_kill(stored: Manager) -> None:
    assert stored.dsm_c("TLSv1").returncode == 0
    assert s_client_early(stored.heartbeat_port).connected
    assert stored.dsm_c("TLSv1.2").returncode == 0
    assert s_client_early(stored.heartbeat_port).refused_by_version
    stored.kill()
    assert stored.dsm_c("ShowValue").stdout.strip().endswith("TLSv1.2")
    stored.start()
    assert set(stored.floors().values()) == {"TLSv1.2"}


def test_while_the_database_is_away_floors_hold_and_it_goes_on_by_itself(
    stored: Manager, server: postgres.Server, tmp_path: Path
) -> None:
    with peer(stored, tmp_path / "agent", "12.0.0") as agent:
        name = eventually(lambda: next(iter(stored.computers()), None), "the agent is known")
        stored.computer(name)
        server.stop()
        answer = stored.client.get("/api/tls/floors")
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) >= 1
        assert "cannot be reached" in answer.json()["message"]
        for secret in (str(server.port), postgres.USER, "127.0.0.1"):
            assert secret not in answer.text, "whoever asks is not known yet"
        refused = stored.cli("floor", "set", "TLSv1", "--reason", "no")
        assert refused.returncode == 7
        status = stored.cli("manager", "status")
        assert status.returncode == 0
        assert "unreachable" in status.stdout
        assert s_client_early(stored.heartbeat_port).refused_by_version
        assert s_client(stored.gui_port, "-tls1_2").connected
        assert agent.process.poll() is None
        server.start()
        assert set(stored.floors().values()) == {"TLSv1.2"}, "the next call works"
        before = stored.computers()[name]["lastAgentCommunication"]
        eventually(lambda: stored.computers()[name]["lastAgentCommunication"] > before, "heartbeats are stored again")
    assert stored.dsm_c("TLSv1").returncode == 0
    server.stop(signal.SIGQUIT)
    server.start()
    assert set(stored.floors().values()) == {"TLSv1"}
    assert stored.dsm_c("TLSv1.2").returncode == 0
    assert stored.cli("audit", "verify").returncode == 0
    assert stored.process is not None
    assert "Traceback" not in stored.process.error_text
    assert "secret" not in stored.process.error_text


def test_it_does_not_start_without_its_database_and_says_why(stored: Manager, server: postgres.Server) -> None:
    stored.stop()
    server.stop()
    process = Service([PLIMSOLL, "manager", "run", "--home", stored.home])
    assert process.wait_end(30) == 1
    assert "Connection refused" in process.error_text
    assert "Traceback" not in process.error_text
    server.start()
    stored.start()
    assert set(stored.floors().values()) == {"TLSv1.2"}


@pytest.mark.rule("R4")
def test_encryption_is_turned_on_by_choice_and_never_falls_back(
    stored: Manager, server: postgres.Server, tmp_path: Path
) -> None:
    shown = parse_json(stored.cli("manager", "database", "--json"))
    assert (shown["connection"], shown["encryptionAsked"], shown["checked"]) == ("not encrypted", False, "nothing")
    assert "verify-full" in shown["advice"]
    stored.stop()
    authority, root = TestAuthority(), tmp_path / "root.pem"
    leaf = authority.leaf("database", "db", hosts=["127.0.0.1"])
    before = stored.file.read_text()
    address = next(line for line in before.splitlines() if line.startswith("database="))

    def refused(query: str) -> str:
        stored.file.write_text(before.replace(address, f"{address}?{query}"))
        process = Service([PLIMSOLL, "manager", "run", "--home", stored.home])
        assert process.wait_end(30) in (1, 2)
        assert "Traceback" not in process.error_text
        return process.error_text

    verified = f"sslmode=verify-full&sslrootcert={root}"
    assert "clear text without a word" in refused("sslmode=prefer")
    root.write_bytes(authority.pem)
    assert "does not support SSL" in refused(verified)
    server.stop()
    server.write("server.crt", leaf.chain.decode())
    server.write("server.key", key_pem(leaf.key).decode())
    server.settings |= {"ssl": "on"}
    server.start()
    root.write_bytes(TestAuthority().pem)
    assert "certificate verify failed" in refused(verified)
    root.write_bytes(authority.pem)
    stored.start()
    shown = parse_json(stored.cli("manager", "database", "--json"))
    assert (shown["protection"], shown["checked"], shown["sslmode"]) == (
        "TLSv1.3",
        "certificate and name",
        "verify-full",
    )
    assert shown["encryptionAsked"]
    assert "advice" not in shown
    assert "TLS_AES_256_GCM_SHA384" in stored.cli("manager", "database").stdout
