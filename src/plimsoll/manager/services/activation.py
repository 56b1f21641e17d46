"""How a machine becomes a computer of the fleet, and how its certificate is renewed."""

from __future__ import annotations

from dataclasses import dataclass

from plimsoll.manager.ports import Permission, Principal, internal, permits
from plimsoll.messages import Activation, ActivationRequest, Kind, Renewal, RenewalRequest, VisitOffer


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token, shown once. `uses` None means any number."""

    id: str
    token: str
    uses: int | None
    expires: float
    kind: Kind | None


@dataclass(frozen=True, slots=True)
class TokenView:
    id: str
    uses: int | None
    uses_left: int | None
    created: float
    expires: float
    kind: Kind | None
    who: str


class ActivationService:
    @permits(Permission.TOKENS_CHANGE)
    def create_token(
        self, principal: Principal, uses: int | None = 1, expires_in: float = 86400.0, kind: Kind | None = None
    ) -> NewToken:
        raise NotImplementedError

    @permits(Permission.TOKENS_READ)
    def tokens(self, principal: Principal) -> tuple[TokenView, ...]:
        raise NotImplementedError

    @permits(Permission.TOKENS_CHANGE)
    def delete_token(self, principal: Principal, token: str) -> None:
        raise NotImplementedError

    @permits(Permission.COMPUTERS_CHANGE)
    def activate_visited(self, principal: Principal, offer: VisitOffer, address: str, port: int) -> Activation:
        """Manager-initiated: the door visited `address` and checked the offer's proof. It stands for a token."""
        raise NotImplementedError

    @internal
    def activate(self, request: ActivationRequest, address: str, via: str, known_as: str | None = None) -> Activation:
        """Agent-initiated, by token. `known_as` is the computer whose valid certificate the connection showed:
        then this is a reactivation, and the computer keeps its id and its floors.

        Raises Forbidden (token unknown, used up, expired, each in its own words), BadInput (CSR), Unavailable.
        """
        raise NotImplementedError

    @internal
    def renew(self, request: RenewalRequest, address: str, computer: str | None = None) -> Renewal:
        """`computer` is whom the connection's certificate names; None where it expired and the request must prove."""
        raise NotImplementedError
