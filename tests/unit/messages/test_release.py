"""Release signatures and the chain of who may make them: what holds, and everything that does not."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st
from tests.support.releases import Publisher, described

from plimsoll.messages import release
from plimsoll.messages.release import ReleaseError

# The same keys in every process: they stand in the names of tests.
OURS = Publisher(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
THEIRS = Publisher(Ed25519PrivateKey.from_private_bytes(bytes(range(32, 64))), "theirs")
TEXT = OURS.sign(b"a package")


def test_a_signature_says_what_the_file_is_and_who_signed_it() -> None:
    said = release.verify(TEXT, [THEIRS.public, OURS.public])
    assert (said.product, said.version, said.platform, said.architecture) == ("agent", "12.1.0", "Debian_12", "x86_64")
    assert (said.length, said.key) == (9, OURS.public.id)
    assert said.target == "agent/Debian_12/x86_64/12.1.0/plimsoll-agent_12.1.0_Debian_12.deb"
    assert release.read(OURS.sign(b"x", version="10.0 Update 8")).target.split("/")[3] == "10.0_Update_8"


def test_a_later_release_may_say_more() -> None:
    more = TEXT.replace("length: ", "channel: stable\nlength: ")
    with pytest.raises(ReleaseError, match="was changed"):
        release.verify(more, [OURS.public])
    body = more.rpartition("signature: ")[0].rpartition("key: ")[0].splitlines()
    assert release.verify(release.signed_text(body, OURS.key), [OURS.public]).version == "12.1.0"


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("12.1.0", "12.2.0", "was changed"),
        ("Debian_12", "Debian_13", "was changed"),
        ("signature: ", "signature: AAAA", "was changed"),
        ("signature: ", "signature: not base64 ", "was changed"),
        (f"key: {OURS.public.id}", f"key: {THEIRS.public.id}", "was changed"),
        (f"key: {OURS.public.id}", "key: 0000", "is not trusted here"),
        ("product: agent", "product: kernel", "unknown product"),
        ("version: 12.1.0", "version: newest", "unknown component version"),
        ("platform: Debian_12", "platform: ../x", "no platform"),
        ("platform: Debian_12", "platform: a..b", "no platform"),
        ("architecture: x86_64", "architecture: x86/64", "no architecture"),
        ("file: plimsoll", "file: ../plimsoll", "no plain file name"),
        ("file: plimsoll", "file: .plimsoll", "no plain file name"),
        ("length: 9", "length: -9", "no number"),
        ("length: 9", "length: 0", "1 to"),
        ("length: 9", "length: 99999999999999", "1 to"),
        ("length: 9\n", "", "does not say length"),
        ("length: 9", "length: 9\nlength: 9", "twice"),
        ("sha256: ", "sha256: zz", "no SHA-256"),
        ("plimsoll release signature 1", "plimsoll release signature 2", "does not begin"),
        ("length: 9", "length 9", "no 'name: value'"),
        ("length: 9\n", "length: 9\r\n", "no 'name: value'"),
        ("Debian_12", "Debian_1２", "expected ASCII"),
    ],
)
def test_a_text_that_was_changed_anywhere_is_refused(old: str, new: str, why: str) -> None:
    changed = TEXT.replace(old, new, 1)
    assert changed != TEXT
    with pytest.raises(ReleaseError, match=why):
        release.verify(changed, [OURS.public, THEIRS.public])


def test_nothing_follows_a_signature() -> None:
    for more in ("version: 13.0.0\n", "x", "signature: AAAA\n"):
        with pytest.raises(ReleaseError):
            release.verify(TEXT + more, [OURS.public])
    with pytest.raises(ReleaseError):
        release.verify(TEXT * 100, [OURS.public])


@given(st.text(max_size=400) | st.builds(lambda at, text: TEXT[:at] + text + TEXT[at:], st.integers(0, 400), st.text()))
def test_any_text_is_read_or_refused(text: str) -> None:
    for reader in (release.read, release.read_trust):
        try:
            reader(text)
        except ReleaseError as error:
            assert str(error)


@pytest.mark.parametrize("field", ["product", "version", "platform", "architecture", "file", "sha256"])
def test_nobody_signs_what_nobody_could_import(field: str) -> None:
    with pytest.raises(ReleaseError):
        release.sign(described(b"x", **{field: "../x\n"}), OURS.key)


def test_a_statement_is_followed_only_by_whom_it_names() -> None:
    first = release.first_trust([OURS.public])
    assert (first.number, first.key, first.keys[0].name) == (1, "", "builds")
    second = release.next_trust(first, [OURS.public, THEIRS.public], OURS.key)
    third = release.next_trust(second, [THEIRS.public], THEIRS.key)
    assert [key.id for key in third.keys] == [THEIRS.public.id]
    assert release.follow(second, third.text) == third
    with pytest.raises(ReleaseError, match="does not follow statement 1"):
        release.follow(first, third.text)
    with pytest.raises(ReleaseError, match="does not follow statement 2"):
        release.follow(second, second.text)
    with pytest.raises(ReleaseError, match="cannot say who follows"):
        release.next_trust(third, [OURS.public], OURS.key)
    forged = release.signed_text(
        ["plimsoll release keys 1", "number: 2", *release._key_lines([THEIRS.public])], THEIRS.key
    )
    with pytest.raises(ReleaseError, match="is not trusted here"):
        release.follow(first, forged)
    with pytest.raises(ReleaseError, match="was changed"):
        release.follow(first, second.text.replace("builds", "guilds"))


@pytest.mark.parametrize(
    "text",
    [
        "plimsoll release keys 1\nnumber: 1\n",
        "plimsoll release keys 1\ntrust: AAAA\n",
        "plimsoll release keys 1\nnumber: 1\ntrust: AAAA\n",
        release.first_trust([OURS.public]).text.replace("number: 1", "number: 2"),
        release.first_trust([OURS.public]).text + release.first_trust([OURS.public]).text.splitlines()[2] + "\n",
        TEXT,
    ],
)
def test_a_statement_that_is_none(text: str) -> None:
    with pytest.raises(ReleaseError):
        release.read_trust(text)


def test_a_name_cannot_bring_lines_of_its_own() -> None:
    with pytest.raises(ReleaseError, match="plain characters"):
        release.first_trust([Publisher(name="x\ntrust: y").public])


def test_private_keys_may_be_under_a_passphrase() -> None:
    pem, public = release.make_key(b"open sesame")
    assert b"ENCRYPTED" in pem
    assert release.public_of(release.load_private(pem, b"open sesame")).id == public.id
    with pytest.raises(ReleaseError, match="none was given"):
        release.load_private(pem)
    with pytest.raises(ReleaseError, match="passphrase is wrong"):
        release.load_private(pem, b"sesame")
    plain, public = release.make_key()
    assert release.public_of(release.load_private(plain, b"for nothing")).id == public.id
    with pytest.raises(ReleaseError, match="no public key"):
        release.load_public(b"nonsense")
    other = generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(ReleaseError, match="no Ed25519"):
        release.load_private(other)
    assert release.load_public(OURS.pem.encode()).id == OURS.public.id
