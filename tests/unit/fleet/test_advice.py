"""The decision table (R8)."""

from __future__ import annotations

import pytest

from plimsoll.fleet.advice import Case, advise, advise_for
from plimsoll.fleet.component import UnknownComponentVersionError
from plimsoll.fleet.parts import Fleet, Installation, Part, RelayFloor
from plimsoll.tls.versions import Version


@pytest.mark.rule("R8")
@pytest.mark.parametrize(
    ("installation", "agent", "relay", "appliance", "case"),
    [
        ("new", "10.0", "10.0 Update 8", "10.0", Case.NEW_ALL_MODERN),
        ("new", None, None, None, Case.NEW_ALL_MODERN),
        ("new", "9.6", "11.1", "10.0", Case.NEW_WITH_OLDER),
        ("new", "12.0", "9.6", None, Case.NEW_WITH_OLDER),
        ("new", "12.0", "12.0", "9.5", Case.NEW_WITH_OLDER),
        ("upgrade", "10.0", "10.0 Update 8", None, Case.UPGRADE_ALL_MODERN),
        ("upgrade", None, None, None, Case.UPGRADE_ALL_MODERN),
        ("upgrade", "9.6.2", None, None, Case.UPGRADE_WITH_OLDER),
        ("upgrade", "12.0", "12.0", "9.5", Case.UPGRADE_WITH_OLDER),
    ],
)
def test_four_cases(installation: str, agent: str | None, relay: str | None, appliance: str | None, case: Case) -> None:
    assert advise_for(installation, agent, relay, appliance).case is case


@pytest.mark.rule("R8")
@pytest.mark.parametrize(
    ("installation", "agent", "recommended", "alternative"),
    [
        ("new", "10.0", "nothing to do", ""),
        ("new", "9.6", "upgrade every older part", "allow early TLS again"),
        ("upgrade", "10.0", "enforce TLS 1.2", "do nothing: the earlier deployment's settings are kept"),
        ("upgrade", "9.6", "plan the upgrade of every older part", "do nothing"),
    ],
)
def test_recommended_and_alternative(installation: str, agent: str, recommended: str, alternative: str) -> None:
    advice = advise_for(installation, agent)
    assert advice.recommended.startswith(recommended)
    assert advice.alternative.startswith(alternative)
    assert bool(advice.alternative) is bool(alternative)
    assert advice.title
    assert [part.who for part in advice.deciding] == ["the oldest agent"]


@pytest.mark.rule("R8")
def test_the_older_parts_decide_by_name() -> None:
    fleet = Fleet.of(
        [
            Part("1", "agent", "web-1", "12.0"),
            Part("2", "agent", "till-7", "9.6"),
            Part("3", "appliance", "guard-1", "9.5"),
            Part("4", "agent", "lost", None),
            Part("5", "agent", "box", "9.6", offered=Version.TLS1_2),
            Part("6", "agent", "strange", "12.0", offered=Version.TLS1_0),
        ]
    )
    advice = advise(fleet)
    assert advice.case is Case.NEW_WITH_OLDER
    assert [(part.who, part.kind, part.version) for part in advice.deciding] == [
        ("lost", "agent", None),
        ("strange", "agent", "12.0"),
        ("till-7", "agent", "9.6"),
        ("guard-1", "appliance", "9.5"),
    ]
    assert [part.why for part in advice.deciding] == [
        "its version is not known and it was not seen offering TLS 1.2: it counts as older",
        "seen offering at most TLSv1",
        "before 10.0: early TLS only",
        "its embedded agent is before 10.0: early TLS only",
    ]


@pytest.mark.rule("R8")
def test_where_all_are_modern_the_oldest_of_each_kind_decides() -> None:
    parts = [
        Part("1", "agent", "a", "12.0"),
        Part("2", "agent", "b", "10.0"),
        Part("3", "agent", "c", "9.6", offered=Version.TLS1_2),
        Part("4", "relay", "r", "11.1"),
        Part("5", "appliance", "guard", None, offered=Version.TLS1_3),
    ]
    advice = advise(Fleet.of(parts, installation="upgrade"))
    assert advice.case is Case.UPGRADE_ALL_MODERN
    assert [(part.who, part.why) for part in advice.deciding] == [
        ("r", "the oldest relay, at 10.0 or newer"),
        ("c", "the oldest agent, seen offering TLSv1.2"),
        ("guard", "the oldest appliance, seen offering TLSv1.3"),
    ]


@pytest.mark.rule("R8")
def test_what_cannot_enforce_yet_is_upgraded_before_enforcing() -> None:
    parts = [
        Part("0", "manager", "manager", "12.0"),
        Part("1", "relay", "r1", "10.0"),
        Part("2", "relay", "r2", "10.0", relay=RelayFloor(observed=Version.TLS1_2)),
    ]
    advice = advise(Fleet.of(parts, installation="upgrade"))
    assert advice.case is Case.UPGRADE_ALL_MODERN
    assert advice.recommended == "upgrade what cannot enforce it yet, then enforce TLS 1.2"
    assert [part.who for part in advice.deciding] == ["r1"]
    assert "10.0 Update 8" in advice.deciding[0].why


@pytest.mark.rule("R8")
@pytest.mark.parametrize(
    ("installation", "version", "floor", "case", "title", "recommended"),
    [
        ("new", "12.0", Version.TLS1_0, Case.NEW_ALL_MODERN, "lowered to TLSv1", "enforce TLS 1.2 again"),
        ("new", "12.0", Version.TLS1_2, Case.NEW_ALL_MODERN, "nothing to do", "nothing to do"),
        ("new", "9.6", Version.TLS1_0, Case.NEW_WITH_OLDER, "they connect", "then enforce TLS 1.2 again"),
        ("new", "9.6", Version.TLS1_2, Case.NEW_WITH_OLDER, "cannot connect", "stays enforced"),
        ("upgrade", "12.0", Version.TLS1_3, Case.UPGRADE_ALL_MODERN, "TLSv1.3 is enforced", "nothing to do"),
        ("upgrade", "12.0", Version.TLS1_0, Case.UPGRADE_ALL_MODERN, "can be enforced", "enforce TLS 1.2"),
        ("upgrade", "9.6", Version.TLS1_0, Case.UPGRADE_WITH_OLDER, "nothing urgent", "plan the upgrade"),
    ],
)
def test_the_words_fit_the_floor_in_force(
    installation: Installation, version: str, floor: Version, case: Case, title: str, recommended: str
) -> None:
    parts = [Part(id="a", kind="agent", name="a", version=version)]
    advice = advise(Fleet.of(parts, installation=installation), floor)
    assert advice.case is case
    assert title in advice.title
    assert recommended in advice.recommended


def test_bad_descriptions_are_refused() -> None:
    with pytest.raises(ValueError, match="unknown installation 'fresh'; valid are new, upgrade"):
        advise_for("fresh")
    with pytest.raises(UnknownComponentVersionError):
        advise_for("new", "ten")


def test_json() -> None:
    data = advise_for("new", "9.6").as_json()
    assert set(data) == {"case", "title", "recommended", "alternative", "deciding"}
    assert data["case"] == 2
    assert data["deciding"][0]["who"] == "the oldest agent"
