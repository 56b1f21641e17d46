"""Databases of other kinds, as the preflight sees them (R4)."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.homes import ROOT, Desk, desk
from tests.support.opening_servers import self_signed
from tests.support.process import free_ports
from tests.support.tds_server import ENCRYPT_NOT_SUP, tds_server

from plimsoll.fleet import picture
from plimsoll.manager.ports import BadInput, Conflict, NotFound
from plimsoll.tls.versions import Version


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Desk]:
    with desk(tmp_path) as opened:
        opened.services.floors.set(ROOT, "TLSv1")
        yield opened


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return self_signed(tmp_path_factory.mktemp("tds"))


def checked(at: Desk, files: tuple[Path, Path], **server: Any) -> tuple[bool, tuple[Version, ...]]:
    """Whether the preflight of TLS 1.2 names it as its only blocker, and what it was seen to accept."""
    with tds_server(*files, **server) as port:
        found = at.services.database.check(ROOT, f"mssql://127.0.0.1:{port}")
    blockers = at.services.judgement.preflight(ROOT, "TLSv1.2").blockers
    assert at.services.judgement.preflight(ROOT, "TLSv1.1").blockers == ()
    if not blockers:
        return False, tuple(found.accepted)
    (blocker,) = blockers
    assert (blocker.kind, blocker.who) == ("database", f"SQL Server at 127.0.0.1:{found.port}")
    assert "upgrade SQL Server" in blocker.remedy
    return True, tuple(found.accepted)


@pytest.mark.rule("R4")
def test_an_sql_server_that_speaks_1_2_is_no_blocker(at: Desk, files: tuple[Path, Path]) -> None:
    assert checked(at, files) == (False, (Version.TLS1_2, Version.TLS1_3))
    assert all(link.to != picture.DATABASE for link in at.services.judgement.picture(ROOT))


@pytest.mark.rule("R4")
def test_an_sql_server_without_1_2_blocks_until_it_is_upgraded_or_forgotten(at: Desk, files: tuple[Path, Path]) -> None:
    blocks, accepted = checked(at, files, minimum=ssl.TLSVersion.TLSv1, maximum=ssl.TLSVersion.TLSv1_1)
    assert (blocks, accepted) == (True, (Version.TLS1_0, Version.TLS1_1))
    (known,) = at.services.database.checks(ROOT)
    with pytest.raises(Conflict, match="Nothing was kept"):
        at.services.database.check(ROOT, known.address)
    assert at.services.database.checks(ROOT) == (known,), "it does not answer just now, which says nothing of it"
    at.services.database.forget(ROOT, known.address)
    assert at.services.judgement.preflight(ROOT, "TLSv1.2").blockers == ()
    with pytest.raises(NotFound):
        at.services.database.forget(ROOT, known.address)


@pytest.mark.rule("R4")
def test_a_database_without_encryption_and_an_oracle_never_block(at: Desk, files: tuple[Path, Path]) -> None:
    assert checked(at, files, encryption=ENCRYPT_NOT_SUP) == (False, ())
    oracle = at.services.database.check(ROOT, "oracle://db.example.test")
    assert "natively" in oracle.text
    assert at.services.judgement.preflight(ROOT, "TLSv1.3").blockers == ()
    assert [one.engine for one in at.services.database.checks(ROOT)] == ["oracle", "sqlserver"]


@pytest.mark.parametrize(
    "address", ["", "db", "postgresql://h", "mssql://sa:secret@h", "mssql://h/db", "mssql://h:99999", "oracle://h?x=y"]
)
def test_what_is_no_address_is_said_and_not_shown(at: Desk, address: str) -> None:
    with pytest.raises(BadInput) as caught:
        at.services.database.check(ROOT, address)
    assert "secret" not in caught.value.message


def test_where_nobody_answers_nothing_is_kept(at: Desk) -> None:
    with pytest.raises(Conflict, match="no SQL Server was found"):
        at.services.database.check(ROOT, f"sqlserver://127.0.0.1:{free_ports(1)[0]}")
    assert at.services.database.checks(ROOT) == ()
