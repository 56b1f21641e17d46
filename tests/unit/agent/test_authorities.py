"""Which CAs an agent takes over from its manager, and which it does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from plimsoll.agent import authorities
from plimsoll.agent.home import Home
from plimsoll.agent.identity import IdentityError
from plimsoll.net.identity import certificate_fingerprints
from plimsoll.testing.certificates import TestAuthority, key_pem

OLD, NEW = TestAuthority(), TestAuthority()
OLD_PEM, NEW_PEM = OLD.pem.decode(), NEW.pem.decode()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "agent")
    home.create()
    leaf = OLD.leaf("agent", "7")
    home.save_identity(key_pem(leaf.key).decode(), leaf.chain.decode(), OLD_PEM)
    return home


def prints(*pems: str) -> list[str]:
    return sorted(certificate_fingerprints("".join(pems)))


def test_both_are_trusted_once_they_are_on_the_disk(home: Home) -> None:
    assert authorities.trusted(home) == prints(OLD_PEM)
    assert authorities.adopt(home, [OLD_PEM, NEW_PEM])
    assert authorities.trusted(home) == prints(OLD_PEM, NEW_PEM)
    assert home.ca.stat().st_mode & 0o077 == 0
    written = home.ca.read_bytes()
    assert not authorities.adopt(home, [NEW_PEM, OLD_PEM]), "the order means nothing"
    assert home.ca.read_bytes() == written


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ([NEW_PEM], "do not include that of this computer's own certificate"),
        ([], "none, or too many"),
        ([OLD_PEM, "rubbish"], ""),
        ([OLD_PEM, NEW_PEM[:200]], "cannot be read"),
        (["-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"], "cannot be read"),
        ([OLD_PEM, *(TestAuthority().pem.decode() for _ in range(authorities.MOST))], "too many"),
    ],
)
def test_what_would_cut_it_off_or_is_none_is_not_taken_over(home: Home, told: list[str], said: str) -> None:
    before = home.ca.read_bytes()
    if said:
        with pytest.raises(IdentityError, match=said):
            authorities.adopt(home, told)
    else:
        assert not authorities.adopt(home, told), "text between certificates counts for nothing"
    assert home.ca.read_bytes() == before


def test_a_home_without_any_trusts_none(tmp_path: Path) -> None:
    home = Home(tmp_path / "agent")
    home.create()
    assert authorities.trusted(home) == []
    home.write("ca.pem", b"\xff\xfe")
    assert authorities.trusted(home) == []
