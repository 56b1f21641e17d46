"""Every operation, asked by zeep from our own WSDL; zeep is strict about what does not fit it."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import zeep.exceptions
from tests.support.homes import ROOT
from tests.support.process import eventually
from tests.support.releases import Publisher
from tests.unit.manager.api.client import Client
from tests.unit.manager.api.soap.conftest import Soap

from plimsoll.manager.api.soap.registry import OPERATIONS
from plimsoll.manager.ports import Presence, Role
from plimsoll.manager.services.computer_views import Intake
from plimsoll.manager.services.events import NewEvent
from plimsoll.messages import Inventory, Kind
from plimsoll.tls.versions import Version

#: Operations that a test of this file has called; the last test looks that none is missing.
CALLED: set[str] = set()


@pytest.fixture(autouse=True)
def noted(soap: Soap, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    service = soap.zeep.service
    plain = type(service).__getitem__

    def noting(self: Any, name: str) -> Any:
        CALLED.add(name)
        return plain(self, name)

    monkeypatch.setattr(type(service), "__getitem__", noting)
    yield


def number(soap: Soap, name: str, version: str = "12.0.0", kind: Kind = Kind.AGENT) -> int:
    computer = soap.at.activate(name, version, kind).computer
    return soap.at.services.computers.get(ROOT, computer).number


def fault(soap: Soap, operation: str, /, **arguments: Any) -> zeep.exceptions.Fault:
    with pytest.raises(zeep.exceptions.Fault) as caught:
        soap.call(operation, **arguments)
    return caught.value


def kind_of(found: zeep.exceptions.Fault) -> str:
    return str(found.detail[0].tag).removeprefix("{urn:Manager}")


def test_sessions_begin_and_end(soap: Soap) -> None:
    service = soap.zeep.service
    assert service["getApiVersion"]() == 4
    assert abs(service["getManagerTime"]() - datetime.now(UTC)) < timedelta(seconds=10)
    for tenant in ("primary", ""):
        other = service["authenticateTenant"](tenantName=tenant, username="admin", password=soap.at.made.admin_password)
        assert service["hostRetrieveAll"](sID=other) == []
        service["endSession"](sID=other)
        service["endSession"](sID=other)
        with pytest.raises(zeep.exceptions.Fault, match="sign in again"):
            service["hostRetrieveAll"](sID=other)
    with pytest.raises(zeep.exceptions.Fault, match="user or password is wrong") as caught:
        service["authenticate"](username="admin", password="wrong")
    assert kind_of(caught.value) == "ManagerAuthenticationException"
    with pytest.raises(zeep.exceptions.Fault, match="no tenant 'acme'"):
        service["authenticateTenant"](tenantName="acme", username="admin", password=soap.at.made.admin_password)


def test_too_many_requests_are_a_fault_and_are_counted(soap: Soap) -> None:
    soap.at.home.config = dataclasses.replace(soap.at.home.config, requests_each=2)
    for _ in range(2):
        assert soap.call("hostRetrieveAll") == []
    found = fault(soap, "hostRetrieveAll")
    assert (kind_of(found), found.message) == ("ManagerCommunicationException", "Too many API requests")
    assert found.code == "soapenv:Server"
    assert soap.zeep.service["getApiVersion"]() == 4, "who has no session is nobody who could be counted"
    local = Client(soap.client._app)
    (usage,) = local.get("/api/apiusagemetrics")["apiUsageMetrics"]
    assert (usage["who"], usage["requests"], usage["limited"]) == ("user:admin", 3, 1)
    told = eventually(lambda: soap.at.services.events.list(ROOT, limit=1)[0].number == 2017, "it is an event")
    assert told


def test_the_gate_learns_who_calls(soap: Soap) -> None:
    soap.call("hostRetrieveAll")
    assert soap.client.connection is not None
    assert soap.client.connection.who == "user:admin"


def test_hosts_are_found(soap: Soap) -> None:
    db, web = number(soap, "db-7"), number(soap, "web-1")
    appliance = number(soap, "guard", "9.5", Kind.APPLIANCE)
    assert [host.ID for host in soap.call("hostRetrieveAll")] == [db, web, appliance]
    found = soap.call("hostRetrieve", id=db)
    assert (found.name, found.hostType, found.external) == ("db-7", "STANDARD", False)
    assert soap.call("hostRetrieve", id=appliance).hostType == "APPLIANCE"
    assert web == soap.call("hostRetrieveByName", hostname="WEB-1").ID
    assert soap.call("hostRetrieveByName", hostname="nobody") is None
    missing = fault(soap, "hostRetrieve", id=99)
    assert kind_of(missing) == "ManagerValidationException"
    assert "99" in missing.message


def test_a_host_says_how_it_is(soap: Soap) -> None:
    db = number(soap, "db-7")
    status = soap.call("hostGetStatus", id=db)
    assert status.overallStatus.startswith(("Managed (", "Unmanaged ("))
    computer = soap.at.services.computers.get(ROOT, str(db)).id
    now = soap.at.services.events._core.clock()
    soap.at.services.computers.apply_presence(
        [Presence(computer, now, "10.0.0.7", "j", Version.TLS1_2, Version.TLS1_2, now)]
    )
    soap.at.services.computers.set_online([computer], True)
    assert soap.call("hostGetStatus", id=db).overallStatus == "Managed (Online)"
    (told,) = soap.call(
        "hostDetailRetrieve", hostFilter={"type": "SPECIFIC_HOST", "hostID": db}, hostDetailLevel="HIGH"
    )
    assert (told.lastIPUsed, told.overallVersion, told.securityProfileName) == ("10.0.0.7", "12.0.0", "Base")
    assert told.hostLight in ("GREEN", "YELLOW")
    summary = soap.call("hostStatusSummaryRetrieve")
    assert summary.onlineHosts + summary.warningHosts == 1
    assert (summary.criticalHosts, summary.unmanageHosts) == (0, 0)


def test_filters_name_what_they_need(soap: Soap) -> None:
    one, two = number(soap, "a"), number(soap, "b")
    group = soap.call("hostGroupCreate", hostGroup={"name": "north", "description": "up there"})
    below = soap.call("hostGroupCreate", hostGroup={"name": "far north", "parentGroupID": group.ID})
    assert soap.call("hostGroupRetrieve", id=group.ID).description == "up there"
    assert soap.call("hostGroupRetrieveByName", name="far north").parentGroupID == group.ID
    assert soap.call("hostGroupRetrieveByName", name="south") is None
    assert [found.name for found in soap.call("hostGroupRetrieveAll")] == ["north", "far north"]
    soap.call("hostMoveToHostGroup", hostIDs=[one], hostGroupID=group.ID)
    soap.call("hostMoveToHostGroup", hostIDs=[two], hostGroupID=below.ID)
    assert [host.ID for host in soap.call("hostRetrieveByHostGroup", hostGroupID=group.ID)] == [one]

    def numbers(**chosen: Any) -> list[int]:
        return [told.ID for told in soap.call("hostDetailRetrieve", hostFilter=chosen, hostDetailLevel="LOW")]

    assert numbers(type="ALL_HOSTS") == [one, two]
    assert numbers(type="HOSTS_IN_GROUP", hostGroupID=group.ID) == [one]
    assert numbers(type="HOSTS_IN_GROUP_AND_ALL_SUBGROUPS", hostGroupID=group.ID) == [one, two]
    assert numbers(type="HOSTS_USING_SECURITY_PROFILE", securityProfileID=1) == [one, two]
    assert "has hostGroupID" in fault(
        soap, "hostDetailRetrieve", hostFilter={"type": "HOSTS_IN_GROUP"}, hostDetailLevel="LOW"
    ).message  # fmt: skip
    assert kind_of(fault(soap, "hostGroupDelete", ids=[group.ID])) == "ManagerIntegrityConstraintException"
    soap.call("hostMoveToHostGroup", hostIDs=[one, two], hostGroupID=None)
    soap.call("hostGroupDelete", ids=[below.ID, group.ID])
    assert soap.call("hostGroupRetrieveAll") == []


@pytest.mark.rule("R14")
def test_send_policy_by_its_soap_name(soap: Soap) -> None:
    relay = number(soap, "relay-1", kind=Kind.RELAY)
    soap.call("hostUpdateNow", hostIDs=[relay])
    progress = soap.call("hostJobProgress", type="UPDATE", hostIDs=[relay])
    assert (progress.complete, progress.pending, progress.unable, progress.error) == (0, 1, 0, 0)
    computer = soap.at.services.computers.get(ROOT, str(relay))
    assert computer.policy_sent_at is not None
    soap.call("hostAgentDeactivate", hostIDs=[relay])
    assert soap.call("hostJobProgress", type="UPDATE", hostIDs=[relay]).unable == 1
    assert soap.call("hostGetStatus", id=relay).overallStatus == "Unmanaged (Revoked)"


def test_a_list_with_an_unknown_host_does_nothing(soap: Soap) -> None:
    one = number(soap, "a")
    before = soap.call("hostGetStatus", id=one).overallLastUpdateRequired
    fault(soap, "hostDelete", ids=[one, 99])
    fault(soap, "hostUpdateNow", hostIDs=[one, 99])
    assert len(soap.call("hostRetrieveAll")) == 1
    assert soap.call("hostGetStatus", id=one).overallLastUpdateRequired == before
    soap.call("hostDelete", ids=[one])
    assert soap.call("hostRetrieveAll") == []
    assert "at least one" in fault(soap, "hostUpdateNow", hostIDs=[]).message


def test_what_needs_nothing_is_checked_all_the_same(soap: Soap) -> None:
    one = number(soap, "a")
    for name in ("hostClearWarningsErrors", "hostGetEventsNow", "hostAgentActivate"):
        soap.call(name, hostIDs=[one])
        fault(soap, name, hostIDs=[99])
    soap.call("hostGetEventsNowSync", hostID=one)
    assert "activation token" in fault(soap, "hostCreate", host={"name": "x"}).message


def test_profiles_are_policies(soap: Soap) -> None:
    one = number(soap, "a")
    made = soap.call("securityProfileSave", sp={"name": "Branches", "description": "d"})
    assert soap.call("securityProfileRetrieve", id=made.ID).parentSecurityProfileID == 1
    renamed = soap.call("securityProfileSave", sp={"ID": made.ID, "name": "Stores"})
    assert (renamed.name, renamed.description) == ("Stores", "d")
    assert soap.call("securityProfileRetrieveByName", name="Stores").ID == made.ID
    assert soap.call("securityProfileRetrieveByName", name="Branches") is None
    assert {found.name for found in soap.call("securityProfileRetrieveAll")} == {"Base", "Stores"}
    soap.call("securityProfileAssignToHost", securityProfileID=made.ID, hostIDs=[one])
    assert soap.call("hostRetrieve", id=one).securityProfileID == made.ID
    fault(soap, "securityProfileDelete", ids=[made.ID])
    soap.call("securityProfileAssignToHost", securityProfileID=1, hostIDs=[one])
    soap.call("securityProfileDelete", ids=[made.ID])


HEARTBEAT = "CONFIGURATION_DEFAULTHEARTBEATPERIOD"


def test_settings_in_the_references_keys_and_units(soap: Soap) -> None:
    one = number(soap, "a")

    def value(name: str, key: str, **which: int) -> tuple[str, str]:
        (found,) = soap.call(name, **which, keys=[key])
        return found.settingValue, found.settingUnit

    assert value("securityProfileSettingGet", HEARTBEAT, securityProfileID=1) == ("600", "SECONDS")
    ten = [{"settingKey": HEARTBEAT, "settingUnit": "MINUTES", "settingValue": "20"}]
    soap.call("securityProfileSettingSet", securityProfileID=1, editableSettings=ten)
    assert value("hostSettingGet", HEARTBEAT, hostID=one) == ("1200", "SECONDS")
    own = [{"settingKey": "CONFIGURATION_AGENTCOMMUNICATIONS", "settingUnit": "NONE", "settingValue": "3"}]
    soap.call("hostSettingSet", hostID=one, editableSettings=own)
    assert value("hostSettingGet", "CONFIGURATION_AGENTCOMMUNICATIONS", hostID=one)[0] == "3"
    soap.call("hostSettingClear", hostID=one, keys=["CONFIGURATION_AGENTCOMMUNICATIONS"])
    assert value("hostSettingGet", "CONFIGURATION_AGENTCOMMUNICATIONS", hostID=one)[0] == "1"
    assert value("hostSettingGet", "CONFIGURATION_RELAYSTATE", hostID=one)[0] == "false"
    relay = number(soap, "r", kind=Kind.RELAY)
    assert value("hostSettingGet", "CONFIGURATION_RELAYSTATE", hostID=relay)[0] == "true"

    child = soap.call("securityProfileSave", sp={"name": "child"})
    five = [{"settingKey": "CONFIGURATION_MAXMISSEDHEARTBEATS", "settingUnit": "NONE", "settingValue": "5"}]
    soap.call("securityProfileSettingSet", securityProfileID=child.ID, editableSettings=five)
    missed = "CONFIGURATION_MAXMISSEDHEARTBEATS"
    assert value("securityProfileSettingGet", missed, securityProfileID=child.ID)[0] == "5"
    soap.call("securityProfileSettingClear", securityProfileID=child.ID, keys=[missed])
    assert value("securityProfileSettingGet", missed, securityProfileID=child.ID)[0] == "2"

    assert value("systemSettingGet", "CONFIGURATION_WEBSERVICEAPIENABLED")[0] == "true"
    soap.call("systemSettingSet", editableSettings=five)
    assert value("systemSettingGet", missed)[0] == "5"


@pytest.mark.parametrize(
    ("key", "unit", "text", "words"),
    [
        (HEARTBEAT, "PORT", "10", "SECONDS, MINUTES"),
        (HEARTBEAT, "SECONDS", "soon", "is a number"),
        (HEARTBEAT, "DAYS", "999999", "1 to 86400"),
        ("CONFIGURATION_AGENTCOMMUNICATIONS", "NONE", "7", "agent-initiated"),
        ("CONFIGURATION_RELAYSTATE", "NONE", "true", "cannot be set"),
        ("CONFIGURATION_WEBSERVICEAPIENABLED", "NONE", "false", "always true"),
        (HEARTBEAT, "SECONDS", "", "inherits from nobody"),
    ],
)
def test_bad_settings_change_nothing(soap: Soap, key: str, unit: str, text: str, words: str) -> None:
    given = [{"settingKey": key, "settingUnit": unit, "settingValue": text}]
    found = fault(soap, "systemSettingSet", editableSettings=given)
    assert words in found.message
    assert kind_of(found) == "ManagerValidationException"


def test_events_by_time_by_host_and_by_id(soap: Soap) -> None:
    db = number(soap, "db-7")
    computer = soap.at.services.computers.get(ROOT, str(db)).id
    long_ago = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    told = soap.at.services.events.record(
        NewEvent(730, "warning", "db-7 is offline", computer=computer, target="db-7"),
        NewEvent(120, "error", "old", time=long_ago.timestamp() + 0.25),
    )

    def ids(name: str = "systemEventRetrieve", **filters: Any) -> list[int]:
        found = soap.call(name, **filters)
        assert found.truncated is False
        return [event.systemEventID for event in found.systemEvents.item]

    everything = ids()
    assert everything[-2:] == [event.id for event in told]
    assert ids("systemEventRetrieve2") == ids("systemEventRetrieveShortDescription") == everything
    assert told[1].id not in ids(timeFilter={"type": "LAST_HOUR"})
    day = {"type": "CUSTOM_RANGE", "rangeFrom": long_ago, "rangeTo": long_ago}
    assert ids(timeFilter=day) == [told[1].id]
    assert ids(timeFilter={"type": "SPECIFIC_TIME", "specificTime": long_ago}) == [told[1].id]
    assert ids(eventIdFilter={"id": told[0].id, "operator": "EQUAL"}) == [told[0].id]
    assert ids(eventIdFilter={"id": told[0].id, "operator": "GREATER_THAN"}) == [told[1].id]
    assert ids(eventIdFilter={"id": told[0].id, "operator": "LESS_THAN"}) == everything[:-2]
    host = {"type": "SPECIFIC_HOST", "hostID": db}
    only = soap.call("systemEventRetrieve", hostFilter=host, includeNonHostEvents=False).systemEvents.item
    assert {event.targetID for event in only} == {db}
    newest = next(event for event in only if event.systemEventID == told[0].id)
    assert (newest.event, newest.type, newest.eventOrigin, newest.eventID) == ("Offline", "Warning", "MANAGER", 730)
    assert "rangeFrom" in fault(soap, "systemEventRetrieve", timeFilter={"type": "CUSTOM_RANGE"}).message
    # An empty list is an empty element, never a nil one: programs read its items.
    empty = soap.call(
        "systemEventRetrieve", timeFilter={"type": "SPECIFIC_TIME", "specificTime": datetime(2020, 1, 1, tzinfo=UTC)}
    )
    assert empty.systemEvents is None


def test_what_has_ended_needs_nobody(soap: Soap) -> None:
    db = number(soap, "db-7")
    computer = soap.at.services.computers.get(ROOT, str(db)).id
    problem = NewEvent(742, "warning", "db-7: TLS", computer=computer, target="db-7")
    soap.at.services.events.record(problem, NewEvent(1962, "error", "change 1 waits", target="change 1"))
    assert [alert.severity for alert in soap.call("alertStatusRetrieve", count=10)] == ["CRITICAL", "WARNING"]
    assert len(soap.call("alertStatusRetrieve", count=1)) == 1
    assert soap.call("alertStatusRetrieve", count=0) == []
    summary = soap.call("statusSummaryRetrieve")
    assert (summary.criticalAlerts, summary.warningAlerts) == (1, 1)
    soap.at.services.events.record(
        NewEvent(743, "info", "d", computer=computer), NewEvent(1963, "error", "d", target="change 1")
    )
    assert soap.call("alertStatusRetrieve", count=10) == []


def test_software(soap: Soap) -> None:
    assert soap.call("softwareRetrieveAll") == []
    compare = "softwareVersionStringsCompare"
    assert soap.call(compare, version1="9.6.2", version2="10.0 Update 8") == -1
    assert soap.call(compare, version1="12.0.0", version2="12.0.0") == 0
    assert soap.call(compare, version1="10.0.0-3367", version2="10.0.0-3366") == 1
    assert kind_of(fault(soap, compare, version1="new", version2="1.0")) == "ManagerValidationException"


@pytest.mark.rule("R9")
def test_software_is_applied_to_hosts_as_an_upgrade(soap: Soap) -> None:
    services = soap.at.services
    said = Inventory(
        hostname="db-7", version="11.9.0", kind=Kind.AGENT, architecture="x86_64", platform="Debian", upgradable=True
    )
    one = number(soap, "db-7", "11.9.0")
    assert soap.call("softwareRetrieveForHost", hostID=one) == []
    (entry,) = services.computers.registry()
    intake = Intake(computer=entry.id, time=time.time(), sequence=1, fingerprint=entry.fingerprints[0], inventory=said)
    services.computers.take_in(intake).result()
    publisher = Publisher().trusted_by(services)
    for version in ("11.9.0", "12.0.0"):
        publisher.import_into(services, b"a release", version=version, platform="Linux", file=f"agent-{version}.tar.gz")
    assert [found.version for found in soap.call("softwareRetrieveForHost", hostID=one)] == ["12.0.0"]
    missing = fault(soap, "softwareApplyToHosts", hostIDs=[one, 99], installerVersion="12.0.0")
    assert "99" in missing.message
    assert services.upgrades.list(ROOT) == ()
    newer = fault(soap, "softwareApplyToHosts", hostIDs=[one], installerVersion="13.1")
    assert "no agent may be newer than its manager" in newer.message
    soap.call("softwareApplyToHosts", hostIDs=[one], installerVersion="12.0.0")
    (under_way,) = services.upgrades.list(ROOT)
    assert (under_way.target, under_way.state) == ("12.0.0", "running")
    again = fault(soap, "softwareApplyToHosts", hostIDs=[one], installerVersion="12.0.0")
    assert kind_of(again) == "ManagerIntegrityConstraintException"


def test_an_auditor_changes_nothing(soap: Soap) -> None:
    one = number(soap, "a")
    soap.at.services.access.create_user(ROOT, "eve", "a long enough password", Role.AUDITOR.value)
    sid = soap.zeep.service["authenticate"](username="eve", password="a long enough password")
    for name, arguments in (
        ("hostDelete", {"ids": [one]}),
        ("hostUpdateNow", {"hostIDs": [one]}),
        ("hostAgentDeactivate", {"hostIDs": [one]}),
        ("softwareApplyToHosts", {"hostIDs": [one], "installerVersion": "12.0.0"}),
        ("securityProfileSave", {"sp": {"name": "x"}}),
        ("hostGroupCreate", {"hostGroup": {"name": "x"}}),
        ("hostSettingClear", {"hostID": one, "keys": [HEARTBEAT]}),
    ):
        with pytest.raises(zeep.exceptions.Fault, match="auditor") as caught:
            soap.zeep.service[name](**arguments, sID=sid)
        assert kind_of(caught.value) == "ManagerAuthorizationException"
    assert len(soap.zeep.service["hostRetrieveAll"](sID=sid)) == 1


def test_every_operation_was_called_above() -> None:
    if len(CALLED) > 20:  # the whole file ran
        assert set(OPERATIONS) - CALLED == set()
