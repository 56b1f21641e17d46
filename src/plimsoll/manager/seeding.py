"""`plimsoll simulate --seed-home`: many computers are put into a stopped manager's home, with certificates of its CA,
as if they had been activated long ago.

It gives nothing to anybody who has not everything already: the home holds the CA's key, and its lock must be free. The
audit trail says that it was done, and how many computers there are that no host stands behind.
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from plimsoll.manager.ca import Authority, Issued, key_pem, new_key
from plimsoll.manager.ca_keyring import Standing
from plimsoll.manager.home import open_home
from plimsoll.manager.ports import BadInput, socket_principal
from plimsoll.manager.services import policy_rules, sending
from plimsoll.manager.services.computer_views import inventory_columns
from plimsoll.manager.services.core import Unit
from plimsoll.manager.store import computers as table
from plimsoll.manager.store import policies as policy_table
from plimsoll.manager.store.computers import ComputerRecord
from plimsoll.messages import CAPABILITY, Inventory, Policy, fingerprint

#: The most that one call makes.
MOST = 1_000_000
#: How many are made between two commits.
_PIECE = 1_000
#: How many one process signs in a row: a signature with the CA's key takes about two milliseconds.
_TOGETHER = 50


@dataclass(frozen=True, slots=True)
class Seeded:
    """What all have in common: the installation, the CA that they trust (PEM), how they name it, their policy."""

    installation: str
    ca: str
    trusts: tuple[str, ...]
    policy: Policy
    count: int


_signer: Authority | None = None


def _become_signer(installation: str, pair: bytes) -> None:
    global _signer
    _signer = Authority.of(installation, pair, pair)


def _sign(work: tuple[Sequence[str], float]) -> list[tuple[str, Issued]]:
    """Key (PEM) and certificate of each of these ids."""
    assert _signer is not None
    identifiers, now = work
    made = []
    for identifier in identifiers:
        key = new_key("ecdsa")
        made.append((key_pem(key).decode(), _signer.issue_for(key, "agent", identifier, now)))
    return made


def seed_fleet(
    directory: Path,
    inventories: Sequence[Inventory],
    keep: Callable[[Sequence[str]], None],
    processes: int | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> Seeded:
    """Makes an active computer of each inventory. `keep` is given their identities (certificate and key, PEM) in that
    order, before the computers are committed; `progress` how many there are by now.

    They have the base policy's settings and floors and have acknowledged them; none was ever seen. Raises HomeError
    (no home, or its manager runs) and BadInput; a run that was cut off leaves the computers that were committed.
    """
    if not 1 <= len(inventories) <= MOST:
        raise BadInput(f"from 1 to {MOST:,} computers can be made at once; none was made")
    home = open_home(directory)
    try:
        now = time.time()
        standing = home.store.read(home.ca)
        pair = standing.issuing.pair_pem
        workers = min(processes or os.cpu_count() or 1, len(inventories) // _TOGETHER + 1)
        pool = ProcessPoolExecutor(workers, get_context("spawn"), _become_signer, (home.installation, pair))
        policies: list[Policy] = []
        with pool:
            done = 0
            for piece, signed in _signed(pool, inventories, now):
                keep([standing.with_chain(issued) + key for key, issued in signed])
                held = home.store.write(lambda c, p=piece, s=signed: _add(Unit(c, now), standing, p, s))  # type: ignore[misc]  # a default holds it
                policies.append(held)
                done += len(piece)
                progress(done)

        def say(unit: Unit) -> None:
            after = {"computers": done, "first": inventories[0].hostname}
            unit.audit(
                socket_principal(os.getuid(), "cli"), "computers.seed", f"{done} simulated computers", None, after
            )

        home.store.write(lambda c: say(Unit(c, now)))
        authority = standing.issuing.certificate_pem
        return Seeded(home.installation, authority, standing.fingerprints, policies[0], done)
    finally:
        home.close()


_Signed = list[tuple[str, Issued]]


def _signed(
    pool: ProcessPoolExecutor, inventories: Sequence[Inventory], now: float
) -> Iterator[tuple[list[tuple[str, Inventory]], _Signed]]:
    """Piece by piece: ids with their inventories, and what was signed for them."""
    for at in range(0, len(inventories), _PIECE):
        piece = [(uuid.uuid4().hex, inventory) for inventory in inventories[at : at + _PIECE]]
        ids = [identifier for identifier, _ in piece]
        work = [(ids[n : n + _TOGETHER], now) for n in range(0, len(ids), _TOGETHER)]
        yield piece, [one for signed in pool.map(_sign, work) for one in signed]


def _add(unit: Unit, standing: Standing, piece: Sequence[tuple[str, Inventory]], signed: _Signed) -> Policy:
    base = policy_table.policy_named(unit.connection, policy_rules.BASE)
    assert base is not None, "every home has the base policy"
    effective = sending.effective_policies(unit)[base.id]
    groups = policy_table.all_groups(unit.connection)[:1]
    policy = policy_rules.activation_policy(effective, piece[0][1].version)
    given = policy_rules.given(policy, unit.now, sent=False)
    held = {"policy_acked": fingerprint(policy), "policy_acked_at": unit.now, "capability": CAPABILITY}
    held |= {"ca_trusts": ",".join(standing.fingerprints), "activated": unit.now}
    records = []
    for (identifier, inventory), (_, issued) in zip(piece, signed, strict=True):
        columns: dict[str, Any] = {
            "id": identifier,
            "address": "",
            "policy_id": base.id,
            "relay_group_id": groups[0].id if groups else None,
            "fingerprint": issued.fingerprint,
            "certificate_expires": issued.expires,
            "ca_issuer": issued.authority,
            "ca_shown": issued.authority,
            "boot_id": inventory.boot_id,
        }
        records.append(ComputerRecord(**(columns | inventory_columns(inventory, None) | given | held)))
    table.add_many(unit.connection, records)
    return policy
