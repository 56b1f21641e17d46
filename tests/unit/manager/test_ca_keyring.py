"""The keys of a home: read once, since reading one checks its numbers, which no activation may wait for."""

from __future__ import annotations

from pathlib import Path

import pytest

from plimsoll.manager.ca import CA_KEY, Authority
from plimsoll.manager.ca_keyring import Keyring
from plimsoll.manager.ports import BadInput

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
