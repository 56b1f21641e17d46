from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID
from tests.support.homes import ROOT, Desk, desk

from plimsoll.manager.ca import fingerprint
from plimsoll.manager.ports import BadInput, Conflict, Forbidden, NotFound
from plimsoll.manager.services.policies import PolicyValues
from plimsoll.messages import ActivationRequest, Assignment, Inventory, Kind, RenewalRequest, VisitOffer
from plimsoll.messages.token import ActivationToken
from plimsoll.testing.certificates import certificate_request, new_key
from plimsoll.testing.clock import FakeClock
from plimsoll.tls.versions import Version

DAY = 86400.0
HOST = Inventory(hostname="host", version="12.0.0")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def at(tmp_path: Path, clock: FakeClock) -> Iterator[Desk]:
    with desk(tmp_path, clock) as opened:
        opened.made = opened.made.__class__(
            **{
                **opened.made.as_json(),
                "activation_token": opened.services.activation.create_token(ROOT, None, 300 * DAY).token,
            }
        )
        yield opened


def uri(certificate: x509.Certificate) -> str:
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return names.get_values_for_type(x509.UniformResourceIdentifier)[0]


@pytest.mark.parametrize(("kind", "role"), [(Kind.AGENT, "agent"), (Kind.RELAY, "relay"), (Kind.APPLIANCE, "agent")])
def test_a_certificate_says_installation_role_and_id(at: Desk, clock: FakeClock, kind: Kind, role: str) -> None:
    made = at.activate("web-01", kind=kind)
    certificate = x509.load_pem_x509_certificate(made.certificate.encode())
    assert uri(certificate) == f"plimsoll://{at.home.installation}/{role}/{made.computer}"
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert set(usage) == {ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH}
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(made.ca.encode()))
    assert certificate.not_valid_before_utc.timestamp() <= clock() - DAY + 1
    assert certificate.not_valid_after_utc.timestamp() == pytest.approx(clock() + 90 * DAY, abs=2)
    shown = at.services.computers.get(ROOT, made.computer)
    assert (shown.kind, shown.hostname, shown.relay_group) == (kind, "web-01", "Default Relay Group")
    assert shown.fingerprint == fingerprint(certificate)
    assert [e.number for e in at.services.events.list(ROOT)[-2:]] == [250, 704]


@pytest.mark.rule("R17")
@pytest.mark.parametrize(
    ("version", "floor"), [("10.0.2775", "TLSv1"), ("11.0.5", "TLSv1"), ("11.1.1", "TLSv1.2"), ("12.0.0", "TLSv1.2")]
)
def test_a_newly_activated_relay_holds_its_versions_default(at: Desk, version: str, floor: str) -> None:
    at.services.floors.set(ROOT, "TLSv1.3", "relay")
    made = at.activate("relay", version, Kind.RELAY)
    assert made.policy.relay_floor.value == floor
    relay = at.services.judgement.relays(ROOT)[0]
    assert (relay.holds.value, relay.origin, relay.sent) == (floor, "version default", None)
    assert relay.required is Version.TLS1_3
    assert relay.pending


def test_each_wrong_token_is_refused_in_its_own_words(at: Desk, clock: FakeClock) -> None:
    create = at.services.activation.create_token
    once = create(ROOT, 1)
    at.activate("a", token=once.token)
    with pytest.raises(Forbidden, match="used up"):
        at.activate("b", token=once.token)
    short = create(ROOT, None, 60)
    for number in range(3):
        at.activate(f"n{number}", token=short.token)
    clock.advance(61)
    with pytest.raises(Forbidden, match="expired"):
        at.activate("c", token=short.token)
    known = ActivationToken.parse(create(ROOT, 5).token)
    for stranger in (
        ActivationToken("nobody", known.secret, known.ca_hash),
        ActivationToken(known.id, "guessed", known.ca_hash),
    ):
        with pytest.raises(Forbidden, match="does not know"):
            at.activate("d", token=str(stranger))
    with pytest.raises(Forbidden, match="not an activation token"):
        at.activate("e", token="hello")
    relays = create(ROOT, None, kind=Kind.RELAY)
    with pytest.raises(Forbidden, match="for the kind relay, not agent"):
        at.activate("f", token=relays.token)
    at.activate("g", kind=Kind.RELAY, token=relays.token)
    left = {token.id: token.uses_left for token in at.services.activation.tokens(ROOT)}
    assert left[once.id] == 0
    at.services.activation.delete_token(ROOT, relays.id)
    with pytest.raises(Forbidden, match="does not know"):
        at.activate("h", kind=Kind.RELAY, token=relays.token)
    with pytest.raises(NotFound):
        at.services.activation.delete_token(ROOT, relays.id)


def test_a_refused_activation_uses_nothing_up(at: Desk) -> None:
    token = at.services.activation.create_token(ROOT, 1)
    bad = ActivationRequest(
        capability=1, csr="nonsense", inventory=Inventory(hostname="x", version="12.0.0"), token=token.token
    )
    with pytest.raises(BadInput, match="cannot be read"):
        at.services.activation.activate(bad, "10.0.0.1", "agent-initiated")
    assert {one.id: one.uses_left for one in at.services.activation.tokens(ROOT)}[token.id] == 1
    assert at.services.computers.list(ROOT) == ()


def test_weak_keys_and_broken_requests_are_not_signed(at: Desk, clock: FakeClock) -> None:
    weak = certificate_request(new_key(1024), "x")
    odd = certificate_request(ec.generate_private_key(ec.SECP256K1()), "x")
    good = x509.load_pem_x509_csr(certificate_request(new_key(), "x").encode())
    assert good.is_signature_valid
    for csr, said in ((weak, "RSA key of 1024 bits"), (odd, "secp256k1")):
        with pytest.raises(BadInput, match=said):
            at.home.keys.first.issue(csr, "agent", "x", clock())


def test_bad_token_settings(at: Desk) -> None:
    for uses, expires in ((0, 60.0), (1, 0.0), (1, -5.0), (None, 400 * DAY)):
        with pytest.raises(BadInput):
            at.services.activation.create_token(ROOT, uses, expires)


def test_a_reactivation_keeps_id_and_floors(at: Desk) -> None:
    made = at.activate("relay", "10.0.2775", Kind.RELAY)
    at.services.floors.set(ROOT, "TLSv1.3", "relay", force=True, reason="test")
    at.services.computers.send_policy(ROOT, computers=[made.computer])
    again = at.activate("relay", "12.0.0", Kind.RELAY, known_as=made.computer)
    assert again.computer == made.computer
    assert again.policy.relay_floor is Version.TLS1_3
    assert len(at.services.computers.list(ROOT)) == 1
    entry = at.services.computers.entry(made.computer)
    assert entry is not None
    assert len(entry.fingerprints) == 1
    at.services.computers.revoke(ROOT, made.computer, "stolen")
    new = at.activate("relay", "12.0.0", Kind.RELAY, known_as=made.computer)
    assert new.computer != made.computer


@pytest.mark.rule("R7")
def test_an_upgraded_relay_that_reactivates_keeps_what_it_held(at: Desk) -> None:
    made = at.activate("relay", "10.0.2775", Kind.RELAY)
    again = at.activate("relay", "12.0.0", Kind.RELAY, known_as=made.computer)
    assert again.policy.relay_floor is Version.TLS1_0
    relay = at.services.judgement.relays(ROOT)[0]
    assert (relay.holds, relay.origin) == (Version.TLS1_0, "kept through an upgrade")


def test_a_visited_machine(at: Desk) -> None:
    offer = VisitOffer(
        capability=1, csr=certificate_request(new_key(), "v"), inventory=Inventory(hostname="v", version="12.0.0")
    )
    made = at.services.activation.activate_visited(ROOT, offer, "10.0.0.7", 4118)
    shown = at.services.computers.get(ROOT, made.computer)
    assert (shown.address, shown.listen_port) == ("10.0.0.7", 4118)
    assert at.services.access.audit(ROOT)[0].action == "computers.activate"


def test_renewal_keeps_the_certificate_in_use_until_the_new_one_is_seen(at: Desk) -> None:
    made = at.activate("a")
    first = at.services.computers.get(ROOT, made.computer).fingerprint
    renew = at.services.activation.renew
    for _ in range(3):
        # Every answer is lost on its way, and the agent asks again with what it has.
        request = RenewalRequest(capability=1, csr=certificate_request(new_key(), "a"))
        renewal = renew(request, "10.0.0.1", made.computer, first)
    newest = fingerprint(x509.load_pem_x509_certificate(renewal.certificate.encode()))
    entry = at.services.computers.entry(made.computer)
    assert entry is not None
    assert set(entry.fingerprints) == {first, newest}


def test_renewal_after_expiry_needs_the_old_key(at: Desk, clock: FakeClock) -> None:
    key = new_key()
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    request = ActivationRequest(
        capability=1,
        csr=certificate_request(key, "a"),
        inventory=HOST,
        token=at.made.activation_token,
    )
    made = at.services.activation.activate(request, "10.0.0.1", "agent-initiated")

    def ask(signer: ec.EllipticCurvePrivateKey, old: str = made.certificate) -> RenewalRequest:
        csr = certificate_request(new_key(), "a")
        proof = base64.b64encode(signer.sign(csr.encode(), ec.ECDSA(hashes.SHA256()))).decode()
        return RenewalRequest(capability=1, csr=csr, old_certificate=old, proof=proof)

    clock.advance(100 * DAY)
    renew = at.services.activation.renew
    stranger = new_key()
    assert isinstance(stranger, ec.EllipticCurvePrivateKey)
    with pytest.raises(Forbidden, match="does not prove"):
        renew(ask(stranger), "10.0.0.1")
    with pytest.raises(Forbidden, match="does not prove"):
        renew(RenewalRequest(capability=1, csr="x", old_certificate=made.certificate, proof="%%"), "10.0.0.1")
    with pytest.raises(BadInput, match="not issued by this manager"):
        renew(ask(key, at.home.keys.first.certificate_pem.replace("A", "B")), "10.0.0.1")
    renewed = renew(ask(key), "10.0.0.1")
    assert (
        x509.load_pem_x509_certificate(renewed.certificate.encode()).not_valid_after_utc.timestamp()
        > clock() + 80 * DAY
    )
    clock.advance(25 * DAY)
    with pytest.raises(Forbidden, match="more than 30 days"):
        renew(ask(key), "10.0.0.1")


def test_no_renewal_for_the_revoked_the_unknown_and_the_overtaken(at: Desk, clock: FakeClock) -> None:
    key = new_key()
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    made = at.activate("a")
    request = RenewalRequest(capability=1, csr=certificate_request(key, "a"))
    at.services.computers.revoke(ROOT, made.computer)
    with pytest.raises(Forbidden, match="revoked"):
        at.services.activation.renew(request, "10.0.0.1", made.computer)
    at.services.computers.delete(ROOT, made.computer)
    with pytest.raises(NotFound, match="activate it again"):
        at.services.activation.renew(request, "10.0.0.1", made.computer)
    waiting = at.services.computers.note_unknown("lost", Kind.AGENT, "f" * 64, "10.0.0.9")
    assert waiting.state == "approval"
    with pytest.raises(Forbidden, match="approval"):
        at.services.activation.renew(request, "10.0.0.9", "lost")
    at.services.computers.approve(ROOT, "lost")
    with pytest.raises(Conflict, match="does not wait"):
        at.services.computers.approve(ROOT, "lost")
    at.services.activation.renew(request, "10.0.0.9", "lost")


def test_a_computer_comes_where_its_activation_says(at: Desk) -> None:
    policies = at.services.policies
    servers = policies.create(ROOT, "Servers", values=PolicyValues(heartbeat_seconds=77))
    branch = policies.create_relay_group(ROOT, "Branch")
    shops = at.services.groups.create(ROOT, "Shops")
    where = Assignment(policy=str(servers.id), relay_group="Branch", group="Shops", description="the till")
    made = at.activate("web", assign=where)
    assert (made.policy.name, made.policy.heartbeat_seconds) == ("Servers", 77)
    shown = at.services.computers.get(ROOT, made.computer)
    assert (shown.policy, shown.relay_group) == ("Servers", branch.name)
    assert (shown.group_id, shown.description) == (shops.id, "the till")
    again = at.activate("web", known_as=made.computer, assign=Assignment(policy="Base"))
    assert (again.computer, again.policy.name) == (made.computer, "Base")
    assert at.services.computers.get(ROOT, made.computer).policy == "Base"


def test_what_an_activation_names_wrongly_activates_nothing_and_uses_up_no_token(at: Desk) -> None:
    once = at.services.activation.create_token(ROOT, 1)
    for assign, said in (
        (Assignment(policy="99"), "there is no policy '99'; nothing was activated. There is: 1 \\(Base\\)"),
        (Assignment(policy="'; drop"), "there is no policy"),
        (Assignment(group="nowhere"), "there is no computer group"),
        (Assignment(relay_group="nowhere"), "there is no relay group"),
    ):
        with pytest.raises(NotFound, match=said):
            at.activate("web", token=once.token, assign=assign)
    assert at.services.computers.list(ROOT) == ()
    at.activate("web", token=once.token)
