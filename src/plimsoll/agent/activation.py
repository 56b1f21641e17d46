"""How this computer becomes one of the fleet: by a token, or by a manager's visit."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plimsoll import RELEASE
from plimsoll.agent import inventory as inventories
from plimsoll.agent import keys
from plimsoll.agent.channel import ChannelError, exchange
from plimsoll.agent.errors import AgentError
from plimsoll.agent.home import AgentState, Home, HomeError, PathLike
from plimsoll.agent.identity import IdentityError, check
from plimsoll.agent.listener import AgentListener
from plimsoll.agent.managers import ManagerAddressError, parse_manager
from plimsoll.agent.software import fetching
from plimsoll.agent.software.shelf import Shelf
from plimsoll.agent.visit import Visited, WaitingAgent
from plimsoll.messages import (
    ACTIVATE,
    CAPABILITY,
    Activation,
    ActivationRequest,
    Assignment,
    Inventory,
    Kind,
)
from plimsoll.messages.token import ActivationToken, TokenError
from plimsoll.messages.visit import VisitCodeError, new_visit_code, normalise_visit_code
from plimsoll.net.client import Link
from plimsoll.net.contexts import ServerIdentity
from plimsoll.net.errors import NetError
from plimsoll.relay.state import RelayFloorKeeper
from plimsoll.tls.versions import Version


@dataclass(frozen=True, slots=True)
class Activated:
    """A computer's new identity."""

    computer: str
    installation: str
    home: Path
    kind: Kind
    policy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What an administrator may say of a computer when it is activated."""

    relay: bool = False
    relay_port: int | None = None
    relay_disk: int = 0
    listen_port: int | None = None
    kind: Kind = Kind.AGENT
    guards: Sequence[str] = ()
    display_name: str = ""
    name: str | None = None
    listen_address: str = "0.0.0.0"
    local_address: str = ""
    managers: Sequence[str] = ()
    assign: Assignment | None = None

    def __post_init__(self) -> None:
        if self.relay and self.kind is Kind.APPLIANCE:
            raise AgentError("a machine is a relay or an appliance, not both; nothing was changed")

    def state(self, installation: str = "", computer: str = "", told: Sequence[str] = ()) -> AgentState:
        """The home's content for these options. `told` are managers' addresses for one who gave none himself."""
        return AgentState(
            installation=installation,
            computer=computer,
            managers=list(self.managers or told),
            kind=Kind.RELAY if self.relay else self.kind,
            hostname=self.name or "",
            display_name=self.display_name,
            guards=list(self.guards),
            listen_address=self.listen_address,
            listen_port=self.listen_port or 4118,
            relay_port=self.relay_port or 4122,
            relay_disk=self.relay_disk,
            local_address=self.local_address,
        )


def activate(home: PathLike, manager: str, token: str, **options: Any) -> Activated:
    """Makes this computer's key, and gets an identity from the manager by an activation token.

    The token is sent only after the CA that the manager presents was found to be the token's. `options` are those of
    `Options`. Raises AgentError; the home is as it was then.
    """
    chosen = Options(managers=[manager], **options)
    place = _blank_home(home)
    try:
        host, port = parse_manager(manager)
        parsed = ActivationToken.parse(token)
        # The folder comes first: a token must not be used up for a home that cannot be written.
        with place.lock():
            made = keys.ask("request", name=chosen.name or "agent")
            inventory = inventories.inventory_of(chosen.state(), _facts_with(made["key"]), listening=False)
            request = ActivationRequest(
                capability=CAPABILITY,
                csr=made["csr"],
                inventory=inventory,
                token=token.strip(),
                assign=chosen.assign,
            )
            # The pin is the token's: the link says nothing before it found a CA with that key and verified the chain.
            local = chosen.local_address or None
            with Link(host, port, ca=None, pin=parsed.ca_hash, local_address=local, expect_role="manager") as link:
                activation = exchange(link, ACTIVATE, request, Activation)
            if activation.ca.strip() != (link.ca_pem or "").strip():
                raise AgentError(f"{manager} answered with another CA than it presents; nothing was kept")
            blank = chosen.state(activation.installation, activation.computer)
            state = check(blank, made["key"], activation.certificate, activation.ca)
            _store(place, state, made["key"], activation)
    except (ManagerAddressError, TokenError, keys.KeysError, IdentityError, HomeError) as error:
        raise AgentError(str(error)) from None
    except ChannelError as error:
        raise AgentError(f"{manager} did not activate this computer: {error}", error.failure) from None
    except OSError as error:
        raise AgentError(f"cannot write to {place.path} ({error}); this computer was not activated") from None
    return _activated(place, state, activation)


def activate_by_manager(
    home: PathLike,
    listen_port: int = 4118,
    code: str | None = None,
    manager_fingerprint: str | None = None,
    *,
    announce: Callable[[str], None] = print,
    timeout: float | None = None,
    **options: Any,
) -> Activated:
    """Listens on 4118 with a bootstrap certificate until a manager visits and activates this agent.

    The manager proves the one-time code (made here if None is given), or brings the CA with `manager_fingerprint`: the
    hash of its key as in a token, or the hex SHA-256 of its certificate. `announce` is told the code and, once the
    port is open, a line that begins with ``ready``. Raises AgentError.
    """
    chosen = Options(listen_port=listen_port, **options)
    place = _blank_home(home)
    if code is None and not manager_fingerprint:
        code = new_visit_code()
        announce(f"one-time code: {code}")

    try:
        if code is not None:
            normalise_visit_code(code)
        for address in chosen.managers:
            parse_manager(address)
        with place.lock():
            return asyncio.run(_wait_for_visit(place, chosen, code, manager_fingerprint, announce, timeout))
    except (keys.KeysError, HomeError, NetError, VisitCodeError, ManagerAddressError) as error:
        raise AgentError(str(error)) from None
    except TimeoutError:
        raise AgentError(f"no manager activated this computer within {timeout:.0f} s; nothing was kept") from None
    except OSError as error:
        raise AgentError(f"cannot write to {place.path} ({error}); this computer was not activated") from None


def _blank_home(home: PathLike) -> Home:
    place = Home(home)
    if place.activated:
        try:
            state = place.load_state()
        except HomeError as error:
            raise AgentError(str(error)) from None
        raise AgentError(
            f"{place.path} is activated already, as computer {state.computer}; nothing was changed. "
            "To activate this computer anew, use an empty --home, or remove that folder first"
        )
    return place


def _facts_with(key: str) -> dict[str, Any]:
    """The host's facts; the handshakes that find them use a throw-away certificate."""
    with tempfile.TemporaryDirectory(prefix="plimsoll-") as folder:
        cert_file, key_file = Path(folder, "cert.pem"), Path(folder, "key.pem")
        cert_file.write_text(keys.ask("bootstrap", key=key)["certificate"])
        key_file.touch(mode=0o600)
        key_file.write_text(key)
        return inventories.gather(cert_file, key_file)


def _store(home: Home, state: AgentState, key: str, activation: Activation) -> None:
    """Writes an activated home, agent.json last."""
    home.save_identity(key, activation.certificate, activation.ca)
    home.save_policy(activation.policy)
    _believe(home, activation)
    if state.kind is Kind.RELAY:
        # The policy of an activation was not sent: a new relay holds its release's default until one is (R14, R17).
        RelayFloorKeeper.open(home, activated_with=RELEASE, now=time.time())
    home.save_state(state)


def _believe(home: Home, activation: Activation) -> None:
    """What the manager says of software is believed on the first day, and from then on only follows itself."""
    if activation.software is None:
        return
    following = Shelf(home.path).take(activation.software)
    if following:
        try:
            fetching.follow(home.path, following)
        except fetching.SoftwareError as error:
            raise AgentError(f"the manager's release keys do not follow each other: {error}") from None


def _usable(addresses: Sequence[str]) -> list[str]:
    """Those that this release can call: one in a later form must not keep the agent from starting."""
    usable = []
    for address in addresses:
        with contextlib.suppress(ManagerAddressError):
            parse_manager(address)
            usable.append(address)
    return usable


def _activated(home: Home, state: AgentState, activation: Activation) -> Activated:
    return Activated(state.computer, state.installation, home.path, state.kind, activation.policy.name)


async def _wait_for_visit(
    home: Home,
    chosen: Options,
    code: str | None,
    manager_fingerprint: str | None,
    announce: Callable[[str], None],
    timeout: float | None,
) -> Activated:

    cert, key = home.path / "bootstrap.pem", home.path / "bootstrap.key"
    made = keys.ask("bootstrap")
    home.write(cert.name, made["certificate"].encode())
    home.write(key.name, made["key"].encode())
    inventory = inventories.inventory_of(chosen.state(), inventories.gather(cert, key), listening=True)
    waiting = _waiting_agent(home, chosen, made["certificate"], code, manager_fingerprint, inventory)
    listener = AgentListener(ServerIdentity(str(cert), str(key)), None, Version.TLS1_2, waiting)
    try:
        await listener.start(chosen.listen_address, chosen.state().listen_port)
        announce(f"ready waits for its manager on port {listener.port}")
        async with asyncio.timeout(timeout):
            visited = await waiting.done
    finally:
        await listener.stop()
        for path in (cert, key):
            path.unlink(missing_ok=True)
    return _activated(home, visited.state, visited.activation)


def _waiting_agent(
    home: Home,
    chosen: Options,
    bootstrap: str,
    code: str | None,
    manager_fingerprint: str | None,
    inventory: Inventory,
) -> WaitingAgent:
    def blank(activation: Activation) -> AgentState:
        return chosen.state(activation.installation, activation.computer, _usable(activation.managers))

    def keep(visited: Visited) -> None:
        _store(home, visited.state, visited.key, visited.activation)

    der = ssl.PEM_cert_to_DER_cert(bootstrap)
    return WaitingAgent(der, code, manager_fingerprint, inventory, blank, keep)
