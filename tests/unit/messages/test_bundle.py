"""Bundles: what is written is read again, and what was altered anywhere is refused."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from tests.support.releases import Publisher

from plimsoll.messages import bundle, release
from plimsoll.messages.bundle import Bundle
from plimsoll.messages.release import ReleaseError

PUBLISHER = Publisher()
CONTENTS = {"12.1.0": b"one" * 1000, "12.2.0": b"t", "12.3.0": bytes(512)}


def packages(folder: Path) -> list[tuple[Path, str]]:
    made = []
    for version, content in CONTENTS.items():
        path = PUBLISHER.write(folder, content, version=version)
        made.append((path, path.with_name(f"{path.name}.sig").read_text()))
    return made


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    out = io.BytesIO()
    bundle.write(out, packages(tmp_path_factory.mktemp("packages")), PUBLISHER.key)
    return out.getvalue()


def read(data: bytes, publisher: Publisher = PUBLISHER) -> dict[str, bytes]:
    """All of it, as an importer reads it: the contents by version."""
    found = {}
    for member, text, pieces in Bundle(io.BytesIO(data), [publisher.public]).packages():
        said = release.verify(text, [publisher.public])
        assert said.file == member.file
        found[said.version] = b"".join(pieces)
    return found


def test_what_is_written_is_read_again(whole: bytes) -> None:
    assert read(whole) == CONTENTS


def test_tar_lists_it(whole: bytes) -> None:
    with tarfile.open(fileobj=io.BytesIO(whole)) as archive:
        names = archive.getnames()
    assert names[0] == bundle.INDEX
    assert names[1] == f"{names[2]}.sig"
    assert len(names) == 7


def test_packages_may_be_passed_over(whole: bytes) -> None:
    files = [member.file for member, _, _ in Bundle(io.BytesIO(whole), [PUBLISHER.public]).packages()]
    assert len(files) == 3


def test_a_strangers_index_is_refused(whole: bytes) -> None:
    with pytest.raises(ReleaseError, match="not trusted here"):
        read(whole, Publisher())


def _without(whole: bytes, number: int) -> bytes:
    """The bundle with one package and its signature taken out."""
    out = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(whole)) as archive,
        tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as made,
    ):
        for at, member in enumerate(archive.getmembers()):
            if (at - 1) // 2 != number or at == 0:
                made.addfile(member, archive.extractfile(member))
    return out.getvalue()


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_bundle_from_which_something_was_taken_is_none(whole: bytes, number: int) -> None:
    with pytest.raises(ReleaseError, match=r"was expected|no tar archive"):
        read(_without(whole, number))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, b"S"])
def test_no_member_but_a_plain_file_is_read(kind: bytes) -> None:
    member = tarfile.TarInfo(bundle.INDEX)
    member.type, member.linkname, member.size = kind, "/etc/passwd", 1 << 40
    with pytest.raises(ReleaseError, match="no bundle"):
        read(member.tobuf(tarfile.GNU_FORMAT) + bytes(1024))


def test_an_index_that_is_too_long_is_not_read() -> None:
    member = tarfile.TarInfo(bundle.INDEX)
    member.size = bundle.MAX_INDEX + 1
    with pytest.raises(ReleaseError, match="longer than"):
        read(member.tobuf(tarfile.USTAR_FORMAT))


@given(data=st.data())
def test_no_altered_byte_is_taken_for_the_truth(whole: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(whole) - 1))
    altered = bytearray(whole)
    altered[at] ^= data.draw(st.integers(1, 255))
    try:
        found = read(bytes(altered))
    except ReleaseError:
        return
    # What a digest covers is compared by the importer; fields of a header that mean nothing here may differ.
    assert found.keys() == CONTENTS.keys()


@given(st.integers(0, 20_000))
def test_a_bundle_that_was_cut_off_is_refused(whole: bytes, length: int) -> None:
    end = len(whole.rstrip(b"\0"))
    with pytest.raises(ReleaseError, match=r"cut off|no bundle"):
        read(whole[: min(length, end - 600)])


def test_what_does_not_belong_together_is_not_written(tmp_path: Path) -> None:
    (one, text), (other, _), _ = packages(tmp_path)
    for given_packages, said in (
        ([(other, text)], "is not the file"),
        ([], "has 1 to"),
        ([(one, text), (one, text)], "same file name"),
        ([(one, "no signature\n")], "no release signature"),
    ):
        out = io.BytesIO()
        with pytest.raises(ReleaseError, match=said):
            bundle.write(out, given_packages, Ed25519PrivateKey.generate())
        assert out.getvalue() == b""
