"""Which floor a relay holds, through policies, restarts and upgrades."""

from __future__ import annotations

import json

import pytest

from plimsoll.messages import FloorOrigin, Policy
from plimsoll.relay.state import FILE, RelayFloorKeeper, RelayStateError
from plimsoll.tls.versions import Version

NOW = 1_800_000_000.0


class Memory:
    def __init__(self, content: object = None) -> None:
        self.files: dict[str, bytes] = {} if content is None else {FILE: json.dumps(content).encode()}

    def read(self, name: str) -> bytes | None:
        return self.files.get(name)

    def write(self, name: str, data: bytes) -> None:
        self.files[name] = data


def held(folder: Memory, activated_with: str, software: str) -> tuple[Version, FloorOrigin]:
    keeper = RelayFloorKeeper.open(folder, activated_with=activated_with, now=NOW, software=software)
    return keeper.floor, keeper.origin


@pytest.mark.rule("R17")
@pytest.mark.parametrize(
    ("software", "floor"),
    [("9.6", Version.TLS1_0), ("11.0.5", Version.TLS1_0), ("11.1", Version.TLS1_2), ("12.0.0", Version.TLS1_2)],
)
def test_a_newly_activated_relay_holds_the_default_of_its_release(software: str, floor: Version) -> None:
    assert held(Memory(), software, software) == (floor, FloorOrigin.VERSION_DEFAULT)


@pytest.mark.rule("R14")
def test_the_policy_last_sent_decides_also_after_a_restart(folder_policy: tuple[Memory, Policy]) -> None:
    folder, policy = folder_policy
    keeper = RelayFloorKeeper.open(folder, activated_with="12.0.0", now=NOW, software="12.0.0")
    assert keeper.floor is Version.TLS1_2
    keeper.hold(policy, NOW + 5)
    assert held(folder, "12.0.0", "12.0.0") == (Version.TLS1_0, FloorOrigin.POLICY)
    report = keeper.report(4122)
    assert (report.policy_generation, report.since, report.port) == (7, NOW + 5, 4122)
    keeper.hold(policy, NOW + 99)
    assert keeper.report(4122).since == NOW + 5, "the same floor again is no change"


@pytest.mark.rule("R7")
def test_an_upgrade_keeps_a_floor_that_was_never_sent() -> None:
    folder = Memory()
    assert held(folder, "11.0.5", "11.0.5") == (Version.TLS1_0, FloorOrigin.VERSION_DEFAULT)
    assert held(folder, "11.0.5", "12.0.0") == (Version.TLS1_0, FloorOrigin.KEPT)
    assert held(folder, "12.0.0", "12.0.0") == (Version.TLS1_0, FloorOrigin.KEPT), "and so does the next start"
    assert held(folder, "12.0.0", "13.0.0") == (Version.TLS1_0, FloorOrigin.KEPT), "and the next upgrade"


@pytest.mark.rule("R7")
def test_an_upgrade_keeps_a_floor_that_was_sent(folder_policy: tuple[Memory, Policy]) -> None:
    folder, policy = folder_policy
    RelayFloorKeeper.open(folder, activated_with="11.2", now=NOW, software="11.2").hold(policy, NOW)
    assert held(folder, "11.2", "12.0.0") == (Version.TLS1_0, FloorOrigin.POLICY)


@pytest.mark.rule("R7")
@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, (Version.TLS1_0, FloorOrigin.KEPT)),
        ({"floor": "TLSv1.2"}, (Version.TLS1_2, FloorOrigin.KEPT)),
        ({"software": "11.0", "floor": "TLSv1"}, (Version.TLS1_0, FloorOrigin.KEPT)),
        ({"software": "11.0", "floor": "TLSv1.3", "origin": "policy"}, (Version.TLS1_3, FloorOrigin.POLICY)),
        ({"software": "11.0", "floor": "TLSv1", "origin": "version default"}, (Version.TLS1_0, FloorOrigin.KEPT)),
    ],
)
def test_files_of_earlier_releases_keep_what_they_held(content: object, expected: object) -> None:
    assert held(Memory(content), "11.0", "12.0.0") == expected


def test_a_damaged_file_is_an_error_and_is_left_alone() -> None:
    folder = Memory()
    folder.files[FILE] = b'{"floor": "TLSv9"}'
    with pytest.raises(RelayStateError, match="port stays closed"):
        RelayFloorKeeper.open(folder, activated_with="12.0.0", now=NOW)
    assert folder.files[FILE] == b'{"floor": "TLSv9"}'


@pytest.fixture
def folder_policy() -> tuple[Memory, Policy]:
    return Memory(), Policy(name="relays", generation=7, relay_floor=Version.TLS1_0)
