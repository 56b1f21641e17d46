"""/api/tls/proofs and /api/tls/scope: signed evidence, and what of it is in the scope of PCI DSS."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import Field

from plimsoll.manager.api.auth import Asks, Back
from plimsoll.manager.api.rest.bodies import Body, ComputerRef, Number
from plimsoll.manager.api.shapes import changes as shapes
from plimsoll.manager.services.scope import MarkView

router = APIRouter(prefix="/api/tls", tags=["proof"])


class ProofBody(Body):
    change: Number | None = Field(default=None, description="a change whose log stands in the proof")


class ScopeBody(Body):
    """One of the two."""

    point: str | None = None
    computer: ComputerRef | None = None
    note: str = ""


@router.post("/proofs")
def build(asks: Asks, back: Back, body: ProofBody) -> shapes.Proof:
    """Asks every port now, which takes seconds, and gives the files of a signed bundle."""
    made = back.services.proof.build(asks, body.change)
    return {
        "verdict": made.verdict,
        "counts": made.content["counts"],
        "scope": made.content["scope"]["verdict"],
        "key": made.key,
        "open": [
            {"point": one["point"], "name": one["name"], "verdict": one["verdict"], "reasons": one["reasons"]}
            for one in made.content["places"]
            if one["verdict"] != "proved"
        ],
        "files": {name: data.decode() for name, data in made.files.items()},
    }


@router.get("/proofs/keys")
def keys(asks: Asks, back: Back) -> shapes.ProofKeys:
    """The keys that signed, the one in use among them."""
    found = back.services.proof.keys(asks)
    return {"keys": [{"id": one, "pem": pem, "inUse": used} for one, pem, used in found]}


@router.post("/proofs/keys")
def rotate(asks: Asks, back: Back) -> shapes.ProofKeyId:
    """A new key signs from now on."""
    return {"id": back.services.proof.rotate(asks)}


@router.get("/scope")
def scope(asks: Asks, back: Back) -> shapes.Scope:
    """What is in the scope of PCI DSS."""
    return _scope(back.services.scope.marks(asks))


@router.post("/scope")
def mark(asks: Asks, back: Back, body: ScopeBody) -> shapes.Scope:
    """Puts a point or a computer into scope."""
    computer = None if body.computer is None else back.services.computers.locate(asks, body.computer)
    return _scope(back.services.scope.mark(asks, point=body.point, computer=computer, note=body.note))


@router.delete("/scope")
def unmark(asks: Asks, back: Back, point: str | None = None, computer: str | None = None) -> shapes.Scope:
    """Takes a point or a computer out of scope."""
    known = None if computer is None else back.services.computers.locate(asks, computer)
    return _scope(back.services.scope.unmark(asks, point=point, computer=known))


def _scope(marks: tuple[MarkView, ...]) -> shapes.Scope:
    return {
        "scope": [
            {
                "id": one.id,
                "point": one.point,
                "computer": one.computer,
                "name": one.name,
                "note": one.note,
                "who": one.who,
                "created": one.created,
            }
            for one in marks
        ]
    }
