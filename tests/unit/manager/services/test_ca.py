"""The CA's rotation over a real store and real certificates: phases, who blocks, the way back, what is forbidden."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from tests.support.ca_world import CaWorld
from tests.support.homes import ROOT, desk, principal

from plimsoll.manager.ca import DAY, Authority, serving_identity
from plimsoll.manager.home import HomeError, open_home
from plimsoll.manager.ports import BadInput, Conflict, Forbidden, NotFound, Role, Unavailable
from plimsoll.manager.sealing import KEY_FILE
from plimsoll.manager.services import Services
from plimsoll.manager.services import events as numbers
from plimsoll.manager.services.ca import RotateRequest
from plimsoll.manager.services.changes import StartRequest as ChangeRequest
from plimsoll.manager.services.upgrades import StartRequest as UpgradeRequest
from plimsoll.manager.store import authorities
from plimsoll.manager.store import nodes as node_table
from plimsoll.manager.store.nodes import NodeRecord
from plimsoll.messages import Kind
from plimsoll.messages.token import ActivationToken
from plimsoll.net.contexts import client_context
from plimsoll.net.identity import certificate_fingerprints
from plimsoll.testing.memory import link


@pytest.fixture
def world(tmp_path: Path) -> Iterator[CaWorld]:
    with desk(tmp_path) as at:
        made = CaWorld(at)
        made.join("a", "b")
        made.join("r", kind=Kind.RELAY)
        yield made


def trusts(world: CaWorld, served: Path, ca: str) -> bool:
    """Whether who trusts that PEM gets through to what is served from there."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(served, served.with_suffix(".key"))
    try:
        link(client_context(ca=ca), context).handshake()
    except ssl.SSLError:
        return False
    return True


def test_from_the_old_one_to_the_new_one_phase_by_phase(world: CaWorld) -> None:
    home = world.at.home
    first = world.services.ca.standing().issuing
    served = serving_identity(home.tls, "heartbeat", "ecdsa").certificate
    assert world.services.ca.show(ROOT).rotation is None
    assert world.services.ca.tick() is False

    shown = world.rotate()
    assert [one.issues for one in shown.authorities] == [True, False]
    second = home.keys.get(world.rotation.new)
    # Announced: still the old one issues, and both are written to ca.pem.
    assert certificate_fingerprints(home.ca_certificate.read_text()) == [first.fingerprint, second.fingerprint]
    assert served.read_text().endswith(first.certificate_pem)
    assert ((home.path / "ca" / f"ca-{second.fingerprint[:16]}.pem").stat().st_mode & 0o777) == 0o600
    world.beat()
    world.run(2)
    assert world.rotation.stands == {"ready": 3}
    assert world.rotation.state == "announce", "not before the soak"
    world.run(4)
    assert world.rotation.state == "switch"

    # Switched: who trusts either of them gets through, tokens name the new one, everybody renews.
    leaf = x509.load_pem_x509_certificate(served.read_bytes())
    leaf.verify_directly_issued_by(second.certificate)
    assert [trusts(world, served, ca) for ca in (first.certificate_pem, second.certificate_pem)] == [True, True]
    token = world.services.activation.create_token(ROOT)
    assert ActivationToken.parse(token.token).ca_hash == second.key_hash
    world.run(4)
    assert world.rotation.stands == {"ready": 3}
    assert {one.shown for one in world.services.ca.computers(ROOT)} == {second.fingerprint}
    assert world.rotation.state == "switch", "the last step is a person's"
    assert world.rotation.old_tokens == 1

    view = world.services.ca.retire(ROOT)
    assert view.rotation is not None
    assert view.rotation.state == "retired"
    assert [one.fingerprint for one in view.authorities] == [second.fingerprint]
    assert certificate_fingerprints(home.ca_certificate.read_text()) == [second.fingerprint]
    assert [trusts(world, served, ca) for ca in (first.certificate_pem, second.certificate_pem)] == [False, True]
    assert not (home.path / "ca" / "ca.key").exists()
    (kept,) = home.backup.glob(f"ca-{first.fingerprint[:16]}-*.pem")
    assert kept.stat().st_mode & 0o777 == 0o600
    assert world.numbers() == [numbers.CA_STARTED, numbers.CA_SWITCHED, numbers.CA_READY, numbers.CA_RETIRED]

    # A token of before is refused by name, and the next rotation begins from here.
    with pytest.raises(Forbidden, match="names a CA that this manager does not use any more"):
        world.join("late", token=world.at.made.activation_token)
    world.rotate()
    assert world.rotation.old == second.fingerprint


def test_who_is_offline_blocks_by_name_until_it_comes_or_is_left_behind(world: CaWorld) -> None:
    world.off("b")
    world.rotate(soak=0.0)
    world.run(5)
    assert world.rotation.state == "announce"
    assert [(one.name, one.stand) for one in world.rotation.behind] == [("b", "offline")]
    with pytest.raises(Conflict, match="b are offline; nothing was switched"):
        world.services.ca.switch(ROOT)
    with pytest.raises(Conflict, match="is in the phase announce"):
        world.services.ca.retire(ROOT)
    # It is said once, after all who answer at all have answered.
    assert numbers.CA_WAITS not in world.numbers()
    world.run(1500, step=100)
    world.run(500, step=100)
    assert world.numbers() == [numbers.CA_STARTED, numbers.CA_WAITS]
    world.on("b")
    world.run(4)
    assert world.rotation.state == "switch"
    # Asleep from now on: it blocks the end, until a person says why not.
    world.off("a")
    world.run(5)
    with pytest.raises(Conflict, match=r"(a are offline|still needed)"):
        world.services.ca.retire(ROOT)


def test_left_behind_is_revoked_named_and_audited(world: CaWorld) -> None:
    world.off("b")
    world.rotate(soak=0.0)
    world.run(3)
    world.services.ca.switch(ROOT, "b was scrapped")
    world.run(3)
    assert world.rotation.stands == {"ready": 2, "offline": 1}
    assert "not waited for (b was scrapped): b" in world.record().text or world.rotation.reasons
    world.services.ca.retire(ROOT, "b was scrapped")
    assert world.rotation.state == "retired"
    assert world.services.computers.get(ROOT, world.members["b"].id).state == "revoked"
    (left,) = [one for one in world.services.events.list(ROOT, limit=1000) if one.number == numbers.CA_LEFT_BEHIND]
    assert "1 computers behind (b was scrapped): b" in left.description
    (audited,) = [one for one in world.services.access.audit(ROOT, 100) if one.action == "ca.retire"]
    assert audited.after is not None
    assert audited.after["leave_behind"] == "b was scrapped"


def test_somebody_who_can_be_reached_is_never_left_behind(world: CaWorld) -> None:
    world.members["b"].takes = False
    world.rotate(soak=0.0)
    world.run(3)
    with pytest.raises(Conflict, match="b have not answered yet"):
        world.services.ca.switch(ROOT, "whatever")


def test_who_cannot_renew_is_asked_again_but_not_all_the_time(world: CaWorld) -> None:
    world.members["b"].renews = False
    world.rotate(soak=0.0)
    world.run(10)
    assert world.rotation.state == "switch"
    assert world.rotation.stands == {"ready": 2, "told": 1}
    complaints = [one for one in world.services.events.list(ROOT, limit=1000) if one.number == 742]
    assert len(complaints) == 1
    world.members["b"].renews = True
    world.run(620, step=20)
    assert world.rotation.stands == {"ready": 3}


def test_agents_that_are_too_old_are_named_before_anything_begins(world: CaWorld) -> None:
    world.join("ancient", capability=3)
    with pytest.raises(Conflict, match="too old to be told of a new CA: ancient; nothing was changed"):
        world.rotate()
    assert not list((world.at.home.path / "ca").glob("ca-*.pem"))
    world.rotate(soak=0.0, leave_behind="a museum piece")
    world.run(3)
    assert world.rotation.stands == {"ready": 3, "too old": 1}
    with pytest.raises(Conflict, match="ancient run an agent that is too old"):
        world.services.ca.switch(ROOT)
    world.services.ca.switch(ROOT, "a museum piece")
    world.run(5)
    # It can renew all the same, and is not left behind in the end.
    assert world.rotation.stands == {"ready": 4}
    world.services.ca.retire(ROOT)


@pytest.mark.parametrize("switched", [False, True])
def test_the_way_back(world: CaWorld, switched: bool) -> None:
    first = world.services.ca.standing().issuing
    world.rotate(soak=0.0, by_itself=switched)
    world.run(8)
    assert world.rotation.state == ("switch" if switched else "announce")
    if switched:
        token = world.services.activation.create_token(ROOT).token
        world.services.ca.back(ROOT)
        # A token of the new CA is good until all are back, and what issues is the old one.
        served = serving_identity(world.at.home.tls, "heartbeat", "ecdsa").certificate
        second = world.at.home.keys.get(world.rotation.new)
        assert world.services.ca.standing().issuing is not second
        assert trusts(world, served, second.certificate_pem)
        world.join("between", token=token)
        with pytest.raises(Conflict, match="goes back already"):
            world.services.ca.back(ROOT)
    else:
        world.services.ca.back(ROOT)
    world.run(8)
    assert world.rotation.state == "withdrawn"
    assert world.services.ca.standing().fingerprints == (first.fingerprint,)
    assert {one.shown for one in world.services.ca.computers(ROOT)} == {first.fingerprint}
    assert certificate_fingerprints(world.at.home.ca_certificate.read_text()) == [first.fingerprint]
    assert Authority.load(world.at.home.path / "ca", world.at.home.installation).fingerprint == first.fingerprint
    assert world.numbers()[-2:] == [numbers.CA_GOES_BACK, numbers.CA_WENT_BACK]
    with pytest.raises(NotFound, match="no rotation of the CA is under way"):
        world.services.ca.back(ROOT)


def test_the_end_of_the_way_back_may_leave_somebody_behind(world: CaWorld) -> None:
    world.rotate(soak=0.0)
    world.run(8)
    world.off("b")
    world.services.ca.back(ROOT)
    world.run(5)
    assert world.rotation.state == "back"
    world.services.ca.back(ROOT, "b is gone")
    assert world.rotation.state == "withdrawn"
    assert world.services.computers.get(ROOT, world.members["b"].id).state == "revoked"


def test_a_token_of_before_still_activates_until_the_old_one_retires(world: CaWorld) -> None:
    world.rotate(soak=0.0)
    world.run(5)
    made = world.at.activate("late", token=world.at.made.activation_token)
    old = world.at.home.keys.get(world.rotation.old)
    assert made.ca == old.certificate_pem
    x509.load_pem_x509_certificate(made.certificate.encode()).verify_directly_issued_by(old.certificate)
    world.know("late", made.computer)
    assert world.rotation.stands.get("told", 0) + world.rotation.stands.get("offline", 0) == 1
    world.run(5)
    assert world.rotation.stands == {"ready": 4}


def test_not_beside_a_change_or_an_upgrade(world: CaWorld) -> None:
    world.rotate()
    with pytest.raises(Conflict, match="one at a time"):
        world.rotate()
    with pytest.raises(Conflict, match="the CA is being rotated"):
        world.services.changes.start(ROOT, ChangeRequest(to="TLSv1.3"))
    with pytest.raises(Conflict, match="the CA is being rotated"):
        world.services.upgrades.start(ROOT, UpgradeRequest(to="12.0.0"))
    world.services.ca.back(ROOT)
    world.run(3)
    world.services.changes.start(ROOT, ChangeRequest(to="TLSv1.3"))
    with pytest.raises(Conflict, match="change"):
        world.rotate()


def test_only_administrators_rotate_and_all_may_look(world: CaWorld) -> None:
    for role in (Role.OPERATOR, Role.AUDITOR):
        who = principal(role)
        assert world.services.ca.show(who).rotation is None
        for act in (
            world.services.ca.rotate,
            world.services.ca.switch,
            world.services.ca.retire,
            world.services.ca.back,
        ):
            with pytest.raises(Forbidden, match=r"certificate\.change"):
                act(who)
    with pytest.raises(BadInput, match="a soak lasts"):
        world.services.ca.rotate(ROOT, RotateRequest(soak=-1.0))
    with pytest.raises(BadInput, match="unknown state"):
        world.services.ca.computers(ROOT, stand="odd")


def test_pages_of_computers(world: CaWorld) -> None:
    world.off("b")
    world.rotate()
    world.run(3)
    everybody = [one.computer for one in world.services.ca.computers(ROOT)]
    first = world.services.ca.computers(ROOT, limit=2)
    rest = world.services.ca.computers(ROOT, limit=2, after=first[-1].computer)
    assert [one.computer for one in (*first, *rest)] == everybody
    assert [one.name for one in world.services.ca.computers(ROOT, stand="offline", limit=1)] == ["b"]


def test_who_slept_past_its_expiry_comes_back_by_its_old_key_until_the_end(tmp_path: Path) -> None:
    """Design section 11: grace and approval; after the old CA retired only a new activation helps."""
    import base64

    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    from plimsoll.messages import ActivationRequest, Inventory, RenewalRequest
    from plimsoll.testing.certificates import certificate_request, new_key

    with desk(tmp_path) as at:
        world = CaWorld(at)
        key = new_key()
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        inventory = Inventory(hostname="sleeper", version="12.0.0")
        request = ActivationRequest(
            capability=4, csr=certificate_request(key, "sleeper"), inventory=inventory, token=at.made.activation_token
        )
        made = world.services.activation.activate(request, "10.0.0.1", "agent-initiated")

        def comeback() -> Any:
            csr = certificate_request(new_key(), "sleeper")
            proof = base64.b64encode(key.sign(csr.encode(), ec.ECDSA(hashes.SHA256()))).decode()
            asked = RenewalRequest(capability=4, csr=csr, old_certificate=made.certificate, proof=proof)
            return world.services.activation.renew(asked, "10.0.0.1")

        world.rotate()
        world.services.computers.set_online([made.computer], False)
        world.services.ca.switch(ROOT, "the sleeper is asleep")
        world.now += 100 * DAY
        renewed = comeback()
        new = at.home.keys.get(world.rotation.new)
        x509.load_pem_x509_certificate(renewed.certificate.encode()).verify_directly_issued_by(new.certificate)
        assert certificate_fingerprints(renewed.ca) == [new.fingerprint, world.rotation.old]
        world.services.ca.retire(ROOT, "the sleeper never came back")
        with pytest.raises(BadInput, match="activate the computer again"):
            comeback()


def test_a_home_without_the_key_that_its_store_names_is_not_opened(tmp_path: Path) -> None:
    with desk(tmp_path, kind="sqlite") as at:  # it is opened again afterwards
        CaWorld(at).rotate()
        path = at.home.path
    (key,) = (path / "ca").glob("ca-*.pem")
    held = key.read_bytes()
    # A later one is in the store as well, under the home's secret.
    key.unlink()
    open_home(path).close()
    assert key.read_bytes() == held
    key.unlink()
    (path / KEY_FILE).rename(tmp_path / "secret")
    with pytest.raises(HomeError, match=f"sealed with another {KEY_FILE}"):
        open_home(path)
    (tmp_path / "secret").rename(path / KEY_FILE)
    (path / "ca" / "ca.key").rename(tmp_path / "first")
    with pytest.raises(HomeError, match="whose key is not in"):
        open_home(path)
    (tmp_path / "first").rename(path / "ca" / "ca.key")
    open_home(path).close()


def test_the_manager_renews_its_own_certificates_while_it_runs(world: CaWorld) -> None:
    served = serving_identity(world.at.home.tls, "heartbeat", "ecdsa").certificate
    before = served.read_bytes()
    world.services.ca.tick()
    assert served.read_bytes() == before
    world.now += 300 * DAY
    world.services.ca.tick()
    assert served.read_bytes() != before


def test_a_manager_that_another_looks_after_the_rotation_for_renews_its_own_too(world: CaWorld) -> None:
    served = serving_identity(world.at.home.tls, "gui", "rsa").certificate
    before = served.read_bytes()
    assert world.services.ca.follow() is False
    assert served.read_bytes() == before
    world.now += 300 * DAY
    world.services.ca.follow()
    assert served.read_bytes() != before


def other_manager(world: CaWorld, authorities: str) -> None:
    """A further manager that runs, and says by which CAs it goes."""
    node = NodeRecord("b" * 32, "b", "", "12.0.0", 1, 2, 0.0, 0.0, 0, node_table.RUNNING, "", authorities)
    world.at.home.store.write(lambda c: node_table.put(c, node))


def test_no_step_before_every_manager_that_runs_has_come_so_far(world: CaWorld) -> None:
    other_manager(world, "")
    with pytest.raises(Conflict, match=r"do not go by the CAs of the store yet: b \(release 12\.0\.0\); nothing was"):
        world.rotate()
    old = world.services.ca.standing().issuing.fingerprint
    other_manager(world, old)
    world.rotate(soak=0.0)
    new = world.rotation.new
    world.run(5)
    assert world.rotation.state == "announce"
    assert world.rotation.text.endswith("yet: b (release 12.0.0)")
    with pytest.raises(Conflict, match="nothing was switched"):
        world.services.ca.switch(ROOT, "whatever is the reason")
    # It is said once it lasts, and is over when it took them.
    world.run(1500, step=300)
    assert world.numbers() == [numbers.CA_STARTED, numbers.CA_WAITS]
    other_manager(world, f"{old},{new}")
    world.run(4)
    assert world.rotation.state == "switch"
    world.run(4)
    with pytest.raises(Conflict, match="nothing was retired"):
        world.services.ca.retire(ROOT)
    other_manager(world, f"{new},{old}")
    world.services.ca.retire(ROOT)
    assert world.rotation.state == "retired"


def test_a_manager_that_does_not_run_keeps_nobody(world: CaWorld) -> None:
    other_manager(world, "")
    world.at.home.store.write(lambda c: node_table.stop(c, "b" * 32))
    world.rotate(soak=0.0)
    world.run(5)
    assert world.rotation.state == "switch"


def test_what_another_manager_stored_is_brought_into_use_at_the_next_look(world: CaWorld) -> None:
    elsewhere = Services(world.at.home.store, world.at.home, lambda snapshot: None, world, lambda: world.now)
    used: list[str] = []
    elsewhere.ca.settling.into_use = lambda standing: used.append(standing.issuing.fingerprint)
    elsewhere.ca.follow()
    old = world.services.ca.standing().issuing.fingerprint
    world.rotate()
    elsewhere.ca.follow()
    elsewhere.ca.follow()
    assert used == [old, old], "each change once"
    assert elsewhere.ca.settling.in_force == f"{old},{world.rotation.new}"


def test_the_key_is_in_the_store_as_long_as_it_counts(world: CaWorld) -> None:
    world.rotate(soak=0.0)
    new = world.rotation.new
    kept = world.at.home.store.read(lambda c: authorities.get(c, new))
    assert kept is not None
    assert "PRIVATE" not in kept.sealed_key
    world.services.ca.back(ROOT)
    world.run(4)
    assert world.rotation.state == "withdrawn"
    assert world.at.home.store.read(lambda c: authorities.get(c, new)) is None
    world.rotate(soak=0.0)
    world.run(10)
    world.services.ca.retire(ROOT)
    assert world.at.home.store.read(lambda c: authorities.get(c, world.rotation.new)) is not None


def test_what_cannot_be_brought_into_use_is_said_and_tried_again(world: CaWorld) -> None:
    settling = world.services.ca.settling

    def refuse(standing: object) -> None:
        raise Conflict("it cannot be served")

    settling.into_use = refuse
    with pytest.raises(Unavailable, match=r"is stored; .*it cannot be served.*every second"):
        world.rotate()
    assert "it cannot be served" in settling.trouble
    settling.into_use = lambda standing: None
    world.services.ca.tick()
    assert settling.trouble == ""
    assert settling.in_force.endswith(world.rotation.new)
