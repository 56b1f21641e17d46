"""Signed bundles: whatever is changed in one is noticed, and the page says what the bundle says."""

from __future__ import annotations

import json
import random
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from plimsoll.scan.proof_page import page
from plimsoll.scan.proofs import (
    BUNDLE,
    KEY,
    MANIFEST,
    PAGE,
    SIGNATURE,
    ProofError,
    check,
    key_id,
    load_public,
    public_pem,
    sign,
    write,
)

KEY_OF_OURS = Ed25519PrivateKey.generate()
EVIL = '<script>alert("x")</script>'


def content(**more: Any) -> dict[str, Any]:
    place = {
        "point": "relay", "name": f"north {EVIL}", "computer": "c1", "address": "10.0.0.7", "port": 4122,
        "asked": "TLSv1.2", "verdict": "proved", "reasons": ["accepts TLSv1.2"], "note": "", "accepted": ["TLSv1.2"],
        "versions": {"TLSv1.2": {"outcome": "accepted", "evidence": [], "suites": ["TLS_A"]}},
    }  # fmt: skip
    silent = place | {
        "name": "south",
        "verdict": "not proved",
        "reasons": ["unreachable"],
        "accepted": [],
        "versions": {},
    }
    made: dict[str, Any] = {
        "schema": "plimsoll-proof/1",
        "id": "1",
        "made": 1_800_000_000.0,
        "by": "user:anna",
        "manager": {"name": "dsm.example", "installation": "i", "release": "12"},
        "verdict": "not proved",
        "counts": {"proved": 1, "violated": 0, "not proved": 1},
        "floors": [{"point": "relay", "floor": "TLSv1.2", "since": None, "who": None, "reason": None}],
        "places": [place, silent],
        "exceptions": [],
        "scope": {"profile": "pci-dss-4.0.1", "note": "n", "marks": [], "places": []},
        "change": None,
        "history": [],
        "audit": {"whole": True, "entry": 3, "hash": "ab"},
    }
    return made | more


def bundle(folder: Path, key: Ed25519PrivateKey = KEY_OF_OURS, **more: Any) -> Path:
    made = content(**more)
    write(folder, sign(made, page(made), key))
    return folder


def test_an_untouched_bundle_is_whole_and_known_by_its_key_alone(tmp_path: Path) -> None:
    folder = bundle(tmp_path / "b")
    found = check(folder, KEY_OF_OURS.public_key())
    assert (found.whole, found.known, found.key_id) == (True, True, key_id(KEY_OF_OURS.public_key()))
    assert found.content["id"] == "1"
    alone = check(folder)
    assert (alone.whole, alone.known) == (True, False)


@pytest.mark.parametrize("name", [BUNDLE, PAGE, MANIFEST, SIGNATURE, KEY])
def test_every_changed_byte_is_noticed(tmp_path: Path, name: str) -> None:
    folder = bundle(tmp_path / "b")
    path, number = folder / name, random.Random(name)
    whole = path.read_bytes()
    places = range(len(whole)) if len(whole) < 1200 else sorted(number.sample(range(len(whole)), 400))
    for at in places:
        path.write_bytes(whole[:at] + bytes([whole[at] ^ (1 << number.randrange(8))]) + whole[at + 1 :])
        assert check(folder, KEY_OF_OURS.public_key()).faults, f"{name}, byte {at}"
        assert check(folder).faults, f"{name}, byte {at}, without a key"
    for cut in (0, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:cut])
        assert check(folder, KEY_OF_OURS.public_key()).faults
    path.write_bytes(whole + b"\n")
    assert check(folder, KEY_OF_OURS.public_key()).faults
    path.unlink()
    assert any("missing" in fault for fault in check(folder, KEY_OF_OURS.public_key()).faults)
    path.write_bytes(whole)
    assert check(folder, KEY_OF_OURS.public_key()).whole


def test_files_of_two_bundles_do_not_mix_and_strangers_files_are_named(tmp_path: Path) -> None:
    one, two = bundle(tmp_path / "1"), bundle(tmp_path / "2", id="2", verdict="proved")
    for name in (BUNDLE, PAGE, MANIFEST, SIGNATURE):
        mixed = tmp_path / f"mixed-{name}"
        shutil.copytree(one, mixed)
        shutil.copyfile(two / name, mixed / name)
        assert check(mixed, KEY_OF_OURS.public_key()).faults, name
    (one / "note.txt").write_text("trust me")
    assert any("note.txt" in fault for fault in check(one).faults)


def test_a_forger_with_a_key_of_his_own_is_whole_but_not_known(tmp_path: Path) -> None:
    forged = bundle(tmp_path / "f", Ed25519PrivateKey.generate(), verdict="proved")
    assert check(forged).whole
    assert not check(forged).known
    found = check(forged, KEY_OF_OURS.public_key())
    assert any("not with the key that was given" in fault for fault in found.faults)


def test_what_is_no_bundle_and_no_key(tmp_path: Path) -> None:
    with pytest.raises(ProofError, match="no folder"):
        check(tmp_path / "nothing")
    with pytest.raises(ProofError, match="PEM"):
        load_public(b"hello")
    bundle(tmp_path / "b")
    with pytest.raises(ProofError, match="not empty"):
        bundle(tmp_path / "b")
    assert key_id(load_public(public_pem(KEY_OF_OURS.public_key()))) == key_id(KEY_OF_OURS.public_key())
    assert check(tmp_path).faults


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        assert not any(name.startswith("on") or name in ("src", "href") for name, _ in attrs), "nothing from elsewhere"
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += data


def test_the_page_is_well_formed_without_scripts_and_says_it_all(tmp_path: Path) -> None:
    exception = {"id": 1, "for": EVIL, "point": "gui", "floor": "TLSv1", "until": 1.8e9, "reason": EVIL, "who": EVIL}
    judged = {"point": "gui", "name": EVIL, "address": "1.2.3.4", "port": 4119, "verdict": "does not hold"}
    judged["findings"] = [EVIL]
    marks = [{"point": "gui", "computer": None, "note": ""}]
    scope = {"profile": "pci-dss-4.0.1", "note": "n", "marks": marks, "places": [judged]}
    change = {
        "id": 7, "to": "TLSv1.2", "points": ["gui"], "state": "done", "who": "user:anna", "approvedBy": "user:berta",
        "text": EVIL, "log": [{"time": 1.8e9, "stage": "gui", "what": EVIL, "text": EVIL, "who": "x"}],
    }  # fmt: skip
    folder = bundle(tmp_path / "b", exceptions=[exception], scope=scope, change=change)
    text = (folder / PAGE).read_text()
    tags = Tags()
    tags.feed(text)
    assert tags.open == []
    assert "script" not in tags.seen
    for words in ("not proved: 1 of 2 ports proved", "south", "unreachable", "Change 7", "berta", "does not hold"):
        assert words in tags.text
    digest = json.loads((folder / MANIFEST).read_text())["files"][BUNDLE]
    assert f"bundle.json SHA-256 {digest}" in tags.text
