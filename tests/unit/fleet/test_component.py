"""Component versions: the schemes that are read, and their order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.fleet.component import ComponentVersion, UnknownComponentVersionError, parse_or_none


@pytest.mark.parametrize(
    ("text", "major_minor", "patch", "update", "build"),
    [
        ("9.6", (9, 6), 0, None, None),
        ("9.6.2", (9, 6), 2, None, None),
        ("10.0", (10, 0), 0, None, None),
        ("10.0 Update 8", (10, 0), 0, 8, None),
        ("10.0 update 12", (10, 0), 0, 12, None),
        ("10.0 U8", (10, 0), 0, 8, None),
        ("10.0.0-3367", (10, 0), 0, None, 3367),
        ("10.0.3367", (10, 0), 0, None, 3367),
        ("9.6.2-5027", (9, 6), 2, None, 5027),
        ("12.0.0", (12, 0), 0, None, None),
        ("12.0.0.563", (12, 0), 0, None, 563),
        (" 10.0  Update 8 ", (10, 0), 0, 8, None),
    ],
)
def test_schemes_of_the_reference_are_read(
    text: str, major_minor: tuple[int, int], patch: int, update: int | None, build: int | None
) -> None:
    version = ComponentVersion.parse(text)
    assert (version.major_minor, version.patch, version.update, version.build) == (major_minor, patch, update, build)
    assert str(version) == " ".join(text.split())


@pytest.mark.parametrize(
    "text",
    ["", "ten", "10", "10.", "10.0 Update", "10.0-x", "v10.0", "10.0.0.0.0", "10.0 SP1", "１０.0", "1" * 12 + ".0"],
)
def test_other_texts_are_refused_with_the_valid_forms(text: str) -> None:
    with pytest.raises(UnknownComponentVersionError, match=r"9\.6, 10\.0, 10\.0 Update 8"):
        ComponentVersion.parse(text)
    assert parse_or_none(text) is None


def test_what_is_no_text_is_refused() -> None:
    with pytest.raises(UnknownComponentVersionError):
        ComponentVersion.parse(10.0)  # type: ignore[arg-type]  # a number that a caller read from a file
    assert parse_or_none(None) is None


def test_order_is_release_patch_update_build() -> None:
    in_order = [
        "9.5",
        "9.6",
        "9.6.2",
        "10.0",
        "10.0.0-2775",
        "10.0.3367",
        "10.0 Update 7",
        "10.0 Update 8",
        "10.1",
        "12.0",
    ]
    versions = [ComponentVersion.parse(text) for text in in_order]
    shuffled = [*versions[5:], *versions[:5]]
    assert sorted(shuffled) == versions
    assert versions[0] < versions[1] <= versions[1]
    assert versions[1] >= versions[1] > versions[0]


numbers = st.none() | st.integers(0, 5000)
versions = st.builds(
    ComponentVersion, st.integers(0, 30), st.integers(0, 9), st.integers(0, 9), update=numbers, build=numbers
)


@given(versions)
def test_a_version_reads_back_as_it_is_spelled(version: ComponentVersion) -> None:
    assert ComponentVersion.parse(str(version)) == version


@given(versions, versions)
def test_order_is_total_and_agrees_with_equality(one: ComponentVersion, other: ComponentVersion) -> None:
    assert (one < other) + (one == other) + (one > other) == 1
