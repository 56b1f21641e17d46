"""Which CAs an agent takes over from its manager, and which it does not."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

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


# -- a renewed certificate of a CA that has ended

ENDED, RENEWED = OLD.again(-3650, -1), OLD.again(-3650, 3650)
#: What somebody in the middle may have, by what is wrong with it.
REFUSED = {
    "another key, and the name": TestAuthority().again(-1, 3650),
    "it has ended too": OLD.again(-3650, -0.5),
    "it is not good yet": OLD.again(1, 3650),
    "it is no CA": OLD.again(-1, 3650, ca=False),
    "another CA says so": OLD.again(-1, 3650, signer=NEW),
    "the ended one itself": ENDED,
    "a leaf of the CA": OLD.leaf("manager", "m").certificate,
    "another name": TestAuthority("elsewhere").again(-1, 3650),
}


def der(*certificates: x509.Certificate) -> list[bytes]:
    return [one.public_bytes(Encoding.DER) for one in certificates]


def pem(*certificates: x509.Certificate) -> str:
    return "".join(one.public_bytes(Encoding.PEM).decode() for one in certificates)


def test_a_renewed_certificate_takes_the_place_of_the_ended_one(home: Home) -> None:
    home.write("ca.pem", (pem(ENDED) + NEW_PEM).encode())
    authorities.follow(
        home, der(OLD.leaf("manager", "m").certificate, *list(REFUSED.values())[:5], RENEWED), time.time()
    )
    assert authorities.trusted(home) == prints(pem(RENEWED), NEW_PEM), "the other CA, which has not ended, stays"
    assert home.ca.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("what", REFUSED)
def test_nothing_else_is_taken_over(home: Home, what: str) -> None:
    home.write("ca.pem", pem(ENDED).encode())
    with pytest.raises(IdentityError, match="no renewed certificate of it"):
        authorities.follow(home, der(REFUSED[what]), time.time())
    assert home.ca.read_bytes() == pem(ENDED).encode()


def test_a_changed_signature_is_none(home: Home) -> None:
    home.write("ca.pem", pem(ENDED).encode())
    (good,) = der(RENEWED)
    with pytest.raises(IdentityError, match="no renewed certificate of it"):
        authorities.follow(home, [good[:-1] + bytes([good[-1] ^ 1])], time.time())
    with pytest.raises(IdentityError, match="cannot read"):
        authorities.follow(home, [b"no certificate"], time.time())


@pytest.mark.parametrize("shown", [[], der(RENEWED)], ids=["nothing", "a renewed one"])
def test_while_no_ca_has_ended_there_is_nothing_to_follow(home: Home, shown: list[bytes]) -> None:
    with pytest.raises(IdentityError, match="none of the CAs that this computer trusts has ended"):
        authorities.follow(home, shown, time.time())
    assert authorities.trusted(home) == prints(OLD_PEM)
