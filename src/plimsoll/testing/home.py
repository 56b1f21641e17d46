"""A simulated peer's folder, in the form of an agent's home: a real agent can take the identity over."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from cryptography import x509

from plimsoll.messages import Ack, Activation, AgentEvent, FloorOrigin, FloorReport, Policy
from plimsoll.testing.certificates import write_private
from plimsoll.tls.versions import Version

if TYPE_CHECKING:
    from plimsoll.testing.agents import PeerSpec


class PeerHome:
    """The folder. Simulated peers do not survive power cuts, so nothing here waits for the disk."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def key(self) -> Path:
        return self.path / "key.pem"

    @property
    def cert(self) -> Path:
        return self.path / "cert.pem"

    @property
    def ca(self) -> Path:
        return self.path / "ca.pem"

    @property
    def activated(self) -> bool:
        return (self.path / "agent.json").exists()

    def save(self, activation: Activation, key: bytes, spec: PeerSpec, manager: tuple[str, int]) -> None:
        """Stores a fresh identity, agent.json last: its presence says that the rest is complete."""
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_private(self.key, key)
        write_private(self.cert, activation.certificate.encode())
        write_private(self.ca, activation.ca.encode())
        self.save_policy(activation.policy)
        certificate = x509.load_pem_x509_certificate(activation.certificate.encode())
        state = {
            "installation": activation.installation,
            "computer": activation.computer,
            "format": 1,
            "software": spec.version,
            "managers": [f"dsm://{manager[0]}:{manager[1]}/"],
            "kind": spec.kind.value,
            "hostname": spec.name,
            "guards": list(spec.guards),
            "listen_address": spec.address or "127.0.0.1",
            "listen_port": spec.listen_port,
            "relay_port": spec.relay_port,
            "local_address": spec.address or "",
            "not_before": certificate.not_valid_before_utc.timestamp(),
            "not_after": certificate.not_valid_after_utc.timestamp(),
        }
        write_private(self.path / "agent.json", json.dumps(state, indent=2).encode())

    def save_policy(self, policy: Policy) -> None:
        write_private(self.path / "policy.json", msgspec.json.encode(policy))

    def load_policy(self) -> Policy | None:
        """The policy held, or None."""
        path = self.path / "policy.json"
        return msgspec.json.decode(path.read_bytes(), type=Policy) if path.exists() else None

    def save_spool(self, sequence: int, event_sequence: int, acks: list[Ack], events: list[AgentEvent]) -> None:
        """Stores the counters, and what the manager has not stored yet, for whoever takes the identity over."""
        spool = {"sequence": sequence, "event_sequence": event_sequence, "acks": acks, "events": events}
        write_private(self.path / "spool.json", msgspec.json.encode(spool))

    def save_relay(self, software: str, report: FloorReport) -> None:
        """Stores the floor of a policy that was sent, as a relay's home has it."""
        sent = report.floor.value if report.origin is FloorOrigin.POLICY else None
        state = {"software": software, "floor": report.floor.value, "sent": sent, "since": report.since}
        state["generation"] = report.policy_generation
        write_private(self.path / "relay.json", json.dumps(state, indent=2).encode())

    def sent_floor(self) -> Version | None:
        """The floor of the policy last sent to this relay, or None: none ever was."""
        path = self.path / "relay.json"
        sent = json.loads(path.read_bytes()).get("sent") if path.exists() else None
        return None if sent is None else Version(sent)

    def installation(self) -> tuple[str, str]:
        """The installation's and this computer's ids."""
        state = json.loads((self.path / "agent.json").read_bytes())
        return state["installation"], state["computer"]
