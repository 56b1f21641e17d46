"""Versions are values with their own order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.tls.versions import FLOORS, UnknownVersionError, Version, from_floor, newest

versions = st.sampled_from(Version)
floors = st.sampled_from(FLOORS)


def test_the_order_is_by_age() -> None:
    assert sorted(Version, key=lambda v: v.rank) == [
        Version.SSL2, Version.SSL3, Version.TLS1_0, Version.TLS1_1, Version.TLS1_2, Version.TLS1_3,
    ]  # fmt: skip


@given(versions, versions)
def test_exactly_one_of_older_same_and_newer_holds(one: Version, other: Version) -> None:
    assert [one < other, one == other, one > other].count(True) == 1
    assert (one <= other) is (one < other or one is other)
    assert (one >= other) is not (one < other)


@given(versions, versions, versions)
def test_the_order_is_transitive(a: Version, b: Version, c: Version) -> None:
    if a <= b and b <= c:
        assert a <= c


@given(versions)
def test_wire_numbers_lead_back(version: Version) -> None:
    assert Version.from_wire(version.wire) is version


@given(st.integers(0, 0xFFFF))
def test_unknown_wire_numbers_are_no_version(number: int) -> None:
    version = Version.from_wire(number)
    assert version is None or version.wire == number


@pytest.mark.parametrize("number", [0x7F1C, 0x0A0A, 0xFAFA, 0xFEFD, 0x0305, 0])
def test_drafts_grease_and_dtls_are_no_version(number: int) -> None:
    assert Version.from_wire(number) is None


@pytest.mark.rule("R13")
@given(floors)
def test_the_name_of_a_floor_is_read_back(floor: Version) -> None:
    assert Version.parse_floor(str(floor)) is floor


@pytest.mark.rule("R13")
@pytest.mark.parametrize("name", ["SSLv3", "SSLv2", "TLSv1.0", "tlsv1.2", "TLSv1.4", "1.2", "", " TLSv1.2", "TLS1_2"])
def test_other_names_are_refused_with_the_valid_ones(name: str) -> None:
    with pytest.raises(UnknownVersionError) as caught:
        Version.parse_floor(name)
    assert "TLSv1, TLSv1.1, TLSv1.2, TLSv1.3" in str(caught.value)
    assert caught.value.name == name


@given(st.text())
def test_any_text_is_a_floor_or_unknown(name: str) -> None:
    try:
        assert Version.parse_floor(name).value == name
    except UnknownVersionError:
        assert name not in {floor.value for floor in FLOORS}


@given(st.lists(versions))
def test_the_newest_is_in_the_list_and_nothing_is_newer(found: list[Version]) -> None:
    best = newest(found)
    assert (best is None) is (not found)
    assert best is None or (best in found and all(best >= version for version in found))


@given(floors, versions)
def test_a_floor_accepts_itself_and_newer_and_never_ssl(floor: Version, version: Version) -> None:
    accepted = from_floor(floor)
    assert (version in accepted) is (version >= floor)
    assert list(accepted) == sorted(accepted, key=lambda v: v.rank)
    assert Version.SSL2 not in accepted
    assert Version.SSL3 not in accepted


@given(floors, floors)
def test_a_higher_floor_accepts_a_subset(low: Version, high: Version) -> None:
    if low <= high:
        assert set(from_floor(high)) <= set(from_floor(low))


def test_early_tls_is_1_0_and_1_1() -> None:
    assert [version for version in Version if version.early] == [Version.TLS1_0, Version.TLS1_1]


def test_labels_are_what_scanners_write() -> None:
    assert [version.label for version in FLOORS] == ["TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3"]
