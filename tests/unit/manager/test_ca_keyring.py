"""The keys of a home: read once, since reading one checks its numbers, which no activation may wait for. What another
manager's rotation made comes out of the store.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from tests.contract.backends import BACKENDS

from plimsoll.manager.ca import CA_KEY, Authority
from plimsoll.manager.ca_keyring import Keyring
from plimsoll.manager.ports import BadInput
from plimsoll.manager.sealing import KEY_FILE, Sealer
from plimsoll.manager.store import Connection, Store, authorities
from plimsoll.manager.store import ca as table
from plimsoll.manager.store.ca import RotationRecord

INSTALLATION = "2f6c1d0a"
NOW = 1_790_000_000.0


def test_the_first_key_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Authority.create(tmp_path, INSTALLATION, NOW)
    keys = Keyring(tmp_path, INSTALLATION)
    monkeypatch.setattr(Authority, "load", None)
    assert [keys.first.fingerprint for _ in range(3)] == [made.fingerprint] * 3
    assert keys.standing(None).issuing.fingerprint == made.fingerprint


def test_a_home_without_its_key_says_so(tmp_path: Path) -> None:
    made = Authority.create(tmp_path, INSTALLATION, NOW)
    (tmp_path / CA_KEY).rename(tmp_path / "kept")
    keys = Keyring(tmp_path, INSTALLATION)
    with pytest.raises(BadInput, match="restore it from a backup"):
        _ = keys.first
    (tmp_path / "kept").rename(tmp_path / CA_KEY)
    assert keys.first.fingerprint == made.fingerprint, "it was restored"


# What another manager's rotation made


@dataclass
class Two:
    """Two homes of one installation on one store: `a` made `new` and began a rotation to it."""

    store: Store
    a: Path
    b: Path
    old: Authority
    new: Authority

    def keys(self, home: Path) -> Keyring:
        return Keyring(home / "ca", INSTALLATION, Sealer(home))

    def enter(self, state: str) -> None:
        def work(connection: Connection) -> None:
            record = table.newest(connection)
            assert record is not None
            table.save(connection, record, state=state, switched=NOW)

        self.store.write(work)


@pytest.fixture(params=list(BACKENDS))
def two(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Two]:
    backend = BACKENDS[request.param](tmp_path)
    a, b = tmp_path / "a", tmp_path / "b"
    for home in (a, b):
        home.mkdir()
    old = Authority.create(a / "ca", INSTALLATION, NOW)
    Sealer(a).begin()
    shutil.copytree(a / "ca", b / "ca")
    shutil.copy(a / KEY_FILE, b / KEY_FILE)
    keys = Keyring(a / "ca", INSTALLATION, Sealer(a))
    new = keys.make(NOW)
    record = RotationRecord(
        0, NOW, "user:a", "a", "rest", table.ANNOUNCE, NOW, 0.0, old.fingerprint, new.fingerprint, old.cross(new),
        new.cross(old), None, {}, {}, "",
    )  # fmt: skip

    def begin(connection: Connection) -> None:
        table.add(connection, record)
        authorities.put(connection, keys.record_of(new, NOW))

    with closing(backend.migrated()) as store:
        store.write(begin)
        yield Two(store, a, b, old, new)
    backend.close()


def names(home: Path) -> set[str]:
    return {path.name for path in (home / "ca").iterdir()}


def test_a_key_that_another_home_made_comes_out_of_the_store_and_stays(two: Two) -> None:
    keys = two.keys(two.b)
    standing = two.store.read(keys.stored)
    assert [one.fingerprint for one in standing.trusted] == [two.old.fingerprint, two.new.fingerprint]
    assert names(two.b) == {"ca.key", "ca.pem"}, "looking writes nothing"
    keys.settle(standing, two.b / "backup", NOW)
    made = f"ca-{two.new.fingerprint[:16]}.pem"
    assert names(two.b) == {"ca.key", "ca.pem", made}
    assert (two.b / "ca" / made).read_bytes() == (two.a / "ca" / made).read_bytes()
    assert (two.b / "ca" / made).stat().st_mode & 0o777 == 0o600
    assert (two.b / "ca" / "ca.pem").read_text() == standing.bundle
    # From now on its home has it.
    two.store.write(lambda c: authorities.drop_key(c, two.new.key_hash))
    assert two.store.read(two.keys(two.b).stored).fingerprints == standing.fingerprints


def test_a_home_that_was_down_until_the_end_takes_the_new_key_and_puts_the_old_one_away(two: Two) -> None:
    two.enter(table.RETIRED)
    keys = two.keys(two.b)
    standing = two.store.read(keys.stored)
    assert [one.fingerprint for one in standing.trusted] == [two.new.fingerprint]
    keys.settle(standing, two.b / "backup", NOW)
    assert names(two.b) == {"ca.pem", f"ca-{two.new.fingerprint[:16]}.pem"}
    (kept,) = (two.b / "backup").iterdir()
    assert kept.name.startswith(f"ca-{two.old.fingerprint[:16]}-")


def test_what_was_read_for_a_moment_is_not_put_away(two: Two) -> None:
    keys = two.keys(two.b)
    two.store.read(keys.stored)
    two.enter(table.WITHDRAWN)
    keys.settle(two.store.read(keys.stored), two.b / "backup", NOW)
    assert names(two.b) == {"ca.key", "ca.pem"}
    assert not (two.b / "backup").exists(), "it never lay there"


def test_a_home_with_another_secret_says_which_file_is_wrong(two: Two) -> None:
    (two.b / KEY_FILE).unlink()
    for made in (False, True):
        if made:
            Sealer(two.b).begin()
        with pytest.raises(BadInput, match=rf"sealed with another {KEY_FILE} .* join anew"):
            two.store.read(two.keys(two.b).stored)
    assert two.store.read(two.keys(two.a).stored).fingerprints == tuple(
        sorted((two.old.fingerprint, two.new.fingerprint))
    )


def test_a_key_that_is_in_neither_is_missed_by_name(two: Two) -> None:
    two.store.write(lambda c: authorities.drop_key(c, two.new.key_hash))
    with pytest.raises(BadInput, match=f"names the CA {two.new.fingerprint[:16]}, whose key is not in"):
        two.store.read(two.keys(two.b).stored)


def test_a_row_whose_key_is_another_ones_is_refused(two: Two) -> None:
    kept = two.keys(two.a).record_of(two.new, NOW)
    two.store.write(lambda c: authorities.put(c, replace(kept, certificate=two.old.certificate_pem)))
    with pytest.raises(BadInput, match="is not its certificate's"):
        two.store.read(two.keys(two.b).stored)
