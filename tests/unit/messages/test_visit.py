"""The one-time code of a manager-initiated activation."""

from __future__ import annotations

import pytest

from plimsoll.messages.visit import VisitCodeError, new_visit_code, normalise_visit_code, proves_visit, visit_proof

CODE = "ABCD-EFGH-2345-WXYZ"


def test_codes_are_fresh_and_survive_how_people_type_them() -> None:
    code = new_visit_code()
    assert code != new_visit_code()
    assert normalise_visit_code(code.lower().replace("-", " ")) == code.replace("-", "")


@pytest.mark.parametrize("text", ["", "ABCD", "ABCD-EFGH-2345-WXY1", CODE + "A"])
def test_anything_else_is_no_code(text: str) -> None:
    with pytest.raises(VisitCodeError):
        normalise_visit_code(text)


def test_a_proof_binds_code_role_and_both_certificates() -> None:
    proof = visit_proof(CODE, b"agent", b"manager", "manager")
    assert proves_visit(proof, "abcdefgh2345wxyz", b"agent", b"manager", "manager")
    assert not proves_visit(proof, CODE, b"agent", b"manager", "agent")
    assert not proves_visit(proof, CODE, b"agent", b"somebody in the middle", "manager")
    assert not proves_visit(proof, CODE, b"another agent", b"manager", "manager")
    assert not proves_visit(proof, "ABCD-EFGH-2345-WXYA", b"agent", b"manager", "manager")
    assert not proves_visit("nö", CODE, b"agent", b"manager", "manager")
