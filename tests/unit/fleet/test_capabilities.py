"""The capability table: its boundaries, and how a wrong one is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.fleet.capabilities import COMPONENTS, CapabilityTable, CapabilityTableError, capability, table
from plimsoll.fleet.component import ComponentVersion, UnknownComponentVersionError
from plimsoll.tls.versions import Version

EARLY, TLS1_2, TLS1_3 = Version.TLS1_0, Version.TLS1_2, Version.TLS1_3


@pytest.mark.rule("R3")
@pytest.mark.parametrize(
    ("kind", "version", "speaks_to", "enforces"),
    [
        ("agent", "9.5", EARLY, False),
        ("agent", "9.6", EARLY, False),
        ("agent", "9.6.2-5027", EARLY, False),
        ("agent", "10.0", TLS1_2, False),
        ("agent", "10.0.0-2775", TLS1_2, False),
        ("agent", "11.3", TLS1_2, False),
        ("agent", "12.0.0.563", TLS1_3, True),
        ("appliance", "9.5", EARLY, False),
        ("appliance", "9.6", EARLY, False),
        ("appliance", "10.0", TLS1_2, False),
        ("appliance", "12.0", TLS1_3, True),
        ("manager", "9.6", EARLY, False),
        ("manager", "10.0", TLS1_2, False),
        ("manager", "10.0 Update 7", TLS1_2, False),
        ("manager", "10.0.3366", TLS1_2, False),
        ("manager", "10.0.3367", TLS1_2, True),
        ("manager", "10.0 Update 8", TLS1_2, True),
        ("manager", "10.1", TLS1_2, True),
        ("manager", "11.1", TLS1_2, True),
        ("manager", "12.0.0", TLS1_3, True),
        ("relay", "9.6", EARLY, False),
        ("relay", "10.0", TLS1_2, False),
        ("relay", "10.0 Update 7", TLS1_2, False),
        ("relay", "10.0 Update 8", TLS1_2, True),
        ("relay", "10.1", TLS1_2, True),
        ("relay", "11.0", TLS1_2, True),
        ("relay", "12.0", TLS1_3, True),
    ],
)
def test_who_can_do_what(kind: str, version: str, speaks_to: Version, enforces: bool) -> None:
    found = capability(kind, version)
    assert (found.speaks_to, found.enforces) == (speaks_to, enforces)
    assert found.source
    assert found.date


@pytest.mark.rule("R3")
@pytest.mark.parametrize("version", ["10.0", "10.0.3367", "10.0.0-3367", "10.0.1-9999"])
def test_a_relay_at_10_0_with_an_unknown_update_level_counts_as_not_able_to_enforce(version: str) -> None:
    """3367 is a manager's number: it says nothing of a relay's update level."""
    assert capability("relay", version).enforces is False


@pytest.mark.rule("R3")
def test_the_first_version_that_is_able() -> None:
    assert str(table().first_able("agent", TLS1_2)) == "10.0"
    assert str(table().first_able("agent", TLS1_3)) == "12.0"
    assert str(table().first_able("relay", TLS1_2)) == "10.0"
    assert str(table().first_able("relay", TLS1_2, enforcing=True)) == "10.0 Update 8"
    assert str(table().first_able("manager", TLS1_2, enforcing=True)) == "10.0 Update 8"


versions = st.builds(
    ComponentVersion,
    st.integers(0, 30),
    st.integers(0, 9),
    st.integers(0, 9),
    update=st.none() | st.integers(0, 30),
    build=st.none() | st.integers(0, 9999),
)


@given(st.sampled_from(COMPONENTS), versions)
def test_every_version_has_exactly_one_row(kind: str, version: ComponentVersion) -> None:
    found = capability(kind, version)
    assert found.speaks_from <= found.speaks_to


@given(st.sampled_from(COMPONENTS), versions, versions)
def test_a_newer_release_never_can_do_less(kind: str, one: ComponentVersion, other: ComponentVersion) -> None:
    older, newer = sorted([one, other], key=lambda version: version.level)
    if (older.build, newer.build) != (None, None) and older.level == newer.level:
        return  # only their builds differ, which are compared by the boundary tests
    if older.major_minor < newer.major_minor or older.build is None:
        assert capability(kind, older).speaks_to <= capability(kind, newer).speaks_to
        assert bool(capability(kind, older).enforces) <= bool(capability(kind, newer).enforces)


def test_a_text_that_is_no_version_is_an_error_not_a_guess() -> None:
    with pytest.raises(UnknownComponentVersionError):
        capability("agent", "newest")


def test_a_kind_without_rows_is_an_error() -> None:
    with pytest.raises(CapabilityTableError, match="no capability rows for 'database'"):
        capability("database", "10.0")


ROW = """
[[row]]
component = "{component}"
from = "{start}"
{below}
lowest = "{lowest}"
highest = "{highest}"
enforces = false
source = "a guide"
date = "2018"
"""


def row(component: str, start: str = "0.0", below: str = "", lowest: str = "TLSv1", highest: str = "TLSv1.2") -> str:
    limit = f'below = "{below}"' if below else ""
    return ROW.format(component=component, start=start, below=limit, lowest=lowest, highest=highest)


OTHERS = row("manager") + row("relay") + row("appliance")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (row("agent", below="10.0") + row("agent", "11.0"), r"agent: nothing covers 10\.0 up to 11\.0"),
        (row("agent", below="11.0") + row("agent", "10.0"), r"agent: the rows from 0\.0 and 10\.0 overlap"),
        (row("agent") + row("agent", "10.0"), "overlap"),
        (row("agent", "9.0"), r"agent: nothing covers the versions below 9\.0"),
        (row("agent", below="10.0"), r"agent: nothing covers 10\.0 and newer"),
        ("", "agent: no row at all"),
        (row("agnet"), "row 4: unknown component 'agnet'; known are manager, relay, agent, appliance"),
        (row("agent", "ten"), "row 4: 'from': unknown component version 'ten'"),
        (row("agent", "10.0", below="9.0"), r"row 4: 'below' 9\.0 is not above 'from' 10\.0"),
        (row("agent", highest="TLSv9"), "row 4: unknown TLS version 'TLSv9'"),
        (row("agent", lowest="TLSv1.3"), r"row 4: 'highest' TLSv1\.2 is below 'lowest' TLSv1\.3"),
        (row("agent").replace("false", '"no"'), "row 4: 'enforces' is true or false"),
        (row("agent").replace('source = "a guide"', ""), "row 4: 'source' is missing"),
        (row("agent").replace("a guide", ""), "row 4: 'source' says nothing"),
        (row("agent") + "colour = 1", "row 4: unknown field 'colour'"),
        ("[[row", "capabilities: not TOML"),
    ],
)
def test_a_wrong_table_is_refused_and_says_where(text: str, complaint: str) -> None:
    with pytest.raises(CapabilityTableError, match=complaint):
        CapabilityTable.parse(OTHERS + text)


def test_a_build_counts_only_for_its_component_and_needs_numbers() -> None:
    build = '[[build]]\ncomponent = "relay"\nrelease = "10.0"\nbuild = "x"\nupdate = 8\nsource = "s"\ndate = "d"\n'
    with pytest.raises(CapabilityTableError, match="build 1: 'build' and 'update' are numbers"):
        CapabilityTable.parse(OTHERS + row("agent") + build)


PLATFORM = """
[[platform]]
name = "Old System"
match = ["oldsystem 5"]
newest = "9.6"
source = "a list"
date = "2018"

[[platform]]
name = "Old System, second edition"
match = ["OldSystem 5.2"]
newest = "11.0"
source = "a list"
date = "2018"
"""


@pytest.mark.rule("R3")
def test_the_longest_match_names_a_platform_and_unknown_stays_unknown() -> None:
    known = CapabilityTable.parse(OTHERS + row("agent"), PLATFORM)
    found, second = known.platform("OldSystem 5.1 x86"), known.platform("OLDSYSTEM 5.2")
    assert found is not None
    assert second is not None
    assert (found.name, str(found.newest)) == ("Old System", "9.6")
    assert second.name == "Old System, second edition"
    assert known.platform("Linux-6.1") is None
    assert known.platform(None) is None


@pytest.mark.parametrize("match", ["[]", '[""]', '"oldsystem"', "[5]"])
def test_a_platform_row_needs_beginnings_to_match(match: str) -> None:
    with pytest.raises(CapabilityTableError, match="platform 1: 'match' lists"):
        CapabilityTable.parse(OTHERS + row("agent"), PLATFORM.replace('["oldsystem 5"]', match))


def test_the_shipped_tables_load_and_every_row_names_source_and_date() -> None:
    shipped = table()
    assert {row.component for row in shipped.rows} == set(COMPONENTS)
    assert all(row.capability.source and row.capability.date for row in shipped.rows)
