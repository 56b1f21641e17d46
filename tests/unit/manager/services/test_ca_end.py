"""The end of a CA: told in time, put off by a renewed certificate for the same key, and nobody is lost over it."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from tests.support.ca_world import CaWorld
from tests.support.homes import ROOT, Desk, desk, principal

from plimsoll.manager.ca import DAY, serving_identity
from plimsoll.manager.ca_keyring import Keyring
from plimsoll.manager.home import open_home
from plimsoll.manager.ports import Forbidden, Role
from plimsoll.manager.sealing import Sealer
from plimsoll.manager.services import events as numbers
from plimsoll.manager.store import audit, events
from plimsoll.manager.store import computers as table
from plimsoll.messages import CAPABILITY, RenewalRequest
from plimsoll.net.identity import certificate_fingerprints
from plimsoll.testing.certificates import certificate_request, new_key


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Desk]:
    with desk(tmp_path / "home") as made:
        yield made


def days_before_the_end(at: Desk, days: float) -> CaWorld:
    world = CaWorld(at)
    world.now = world.services.ca.standing().issuing.ends - days * DAY
    return world


def told(world: CaWorld, number: int) -> list[str]:
    found = world.at.home.store.read(lambda c: events.find(c, after=None, limit=1000))
    return [one.description for one in found if one.number == number]


def test_it_is_told_a_year_before_and_once_a_month(at: Desk) -> None:
    world = days_before_the_end(at, 366)
    world.services.ca.tick()
    assert told(world, numbers.CA_ENDS) == []
    for days in (364, 363, 333, 332):
        world.now = world.services.ca.standing().issuing.ends - days * DAY
        world.services.ca.tick()
    said = told(world, numbers.CA_ENDS)
    assert len(said) == 2
    assert "in 364 days. Rotate it: plimsoll ca rotate" in said[0]
    world.bring_up()
    world.services.ca.tick()
    assert len(told(world, numbers.CA_ENDS)) == 2, "a restart says nothing again"
    assert not at.home.ca_certificate.read_text().count("BEGIN") > 1


def test_who_looks_is_told_what_to_do_from_a_year_before(at: Desk) -> None:
    world = days_before_the_end(at, 366)
    assert [one.advice for one in world.services.ca.show(ROOT).authorities] == [""]
    world.now += 2 * DAY
    (one,) = world.services.ca.show(ROOT).authorities
    assert "in 364 days. Rotate it: plimsoll ca rotate. " in one.advice
    assert one.advice.endswith("to do that now: plimsoll ca renew")
    old, new = world.services.ca.rotate(ROOT).authorities
    assert "Go on with the rotation under way: plimsoll ca status. " in (old.advice or new.advice)
    assert "" in (old.advice, new.advice), "the new one lasts"
    renewed = world.services.ca.renew(ROOT)
    assert [one.advice for one in renewed.authorities] == ["", ""]


def test_where_nobody_rotated_the_certificate_is_renewed_for_the_same_key(at: Desk) -> None:
    world = days_before_the_end(at, 89)
    before = world.services.ca.standing()
    old_pem = at.home.ca_certificate.read_text()
    identity = serving_identity(at.home.tls, "heartbeat", "ecdsa")
    leaf = x509.load_pem_x509_certificates(identity.certificate.read_bytes())[0]
    world.services.ca.tick()
    after = world.services.ca.standing()
    assert after.issuing.key_hash == before.issuing.key_hash
    assert after.issuing.fingerprint == before.issuing.fingerprint, "it is the same CA for the store"
    assert after.fingerprints != before.fingerprints
    assert after.issuing.ends - world.now == pytest.approx(3650 * DAY, abs=2)
    assert after.issuing.certificate.subject == before.issuing.certificate.subject
    leaf.verify_directly_issued_by(after.issuing.certificate)
    assert at.home.ca_certificate.read_text() == after.bundle != old_pem
    served = identity.certificate.read_text()
    assert certificate_fingerprints(served)[-1:] == list(after.fingerprints), "it is shown"
    (said,) = told(world, numbers.CA_RENEWED)
    assert "The key is the same; for a new one: plimsoll ca rotate" in said
    world.now += 2 * DAY
    world.services.ca.tick()
    assert len(told(world, numbers.CA_RENEWED)) == 1
    kept = at.home.store.read(lambda c: audit.entries(c, 100, None))
    assert [(one.who, one.action) for one in kept if one.action == "ca.renew"] == [("system:manager", "ca.renew")]


def test_it_survives_a_restart_and_a_rotation_goes_on_from_it(tmp_path: Path) -> None:
    with desk(tmp_path / "home") as at:
        world, path = CaWorld(at), at.home.path
        world.join("a")
        fingerprint = world.services.ca.renew(ROOT).authorities[0].fingerprint
        world.beat()
        assert world.members["a"].trusts == ",".join(world.services.ca.standing().fingerprints)
        assert (path / "ca" / f"ca-{fingerprint[:16]}.pem").stat().st_mode & 0o777 == 0o600
        at.home.keys = Keyring(path / "ca", at.home.installation, Sealer(path))
        world.bring_up()
        assert world.services.ca.standing().issuing.fingerprint == fingerprint
        assert world.services.ca.standing().issuing.is_renewed
        world.rotate()
        # In the middle of it both are renewed, and what each says of the other is made anew.
        before = world.record()
        world.services.ca.renew(ROOT)
        assert world.record().new_with_old != before.new_with_old
        world.run(15)
        assert world.rotation.state == "switch"
        world.run(5)
        world.services.ca.retire(ROOT)
        assert world.services.ca.standing().issuing.fingerprint == world.rotation.new
        assert not (path / "ca" / "ca.key").exists()
    open_home(path).close()


def test_a_manager_whose_ca_has_ended_starts_with_a_renewed_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with desk(tmp_path / "home") as at:
        path, before = at.home.path, at.home.store.read(at.home.ca).issuing
    monkeypatch.setattr(time, "time", lambda now=before.ends + 40 * DAY: now)
    home = open_home(path)
    try:
        after = home.store.read(home.ca).issuing
        assert (after.fingerprint, after.key_hash) == (before.fingerprint, before.key_hash)
        assert after.ends > time.time() + 3600 * DAY
        leaf = x509.load_pem_x509_certificate(serving_identity(home.tls, "gui", "rsa").certificate.read_bytes())
        assert leaf.not_valid_after_utc.timestamp() > time.time() + 300 * DAY
        assert home.ca_certificate.read_text() == after.certificate_pem
    finally:
        home.close()


def test_a_computer_whose_certificate_the_cas_end_cut_short_may_come_back_longer(at: Desk) -> None:
    world = days_before_the_end(at, 89.5)
    key = new_key()
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    made = at.activate("a")
    ca = world.services.ca.standing().issuing
    end = ca.ends

    def renew(issued_days_before: float, days_after: float) -> None:
        csr = certificate_request(key, "a")
        issued = ca.issue(csr, "agent", made.computer, end - issued_days_before * DAY)
        assert issued.expires <= end
        at.home.store.write(lambda c: table.change(c, made.computer, fingerprint=issued.fingerprint))
        world.now = end + days_after * DAY
        signature = key.sign(csr.encode(), ec.ECDSA(hashes.SHA256()))
        request = RenewalRequest(
            capability=CAPABILITY, csr=csr, old_certificate=issued.pem, proof=base64.b64encode(signature).decode()
        )
        world.services.activation.renew(request, "10.0.0.1")

    world.now = end + 50 * DAY
    world.services.ca.tick()  # a manager that was down until then
    renew(10, 79)
    with pytest.raises(Forbidden, match="more than 30 days ago"):
        renew(10, 111)
    with pytest.raises(Forbidden, match="more than 30 days ago"):
        renew(95, 31)


def test_only_who_may_change_certificates_renews(at: Desk) -> None:
    with pytest.raises(Forbidden):
        CaWorld(at).services.ca.renew(principal(Role.AUDITOR))
