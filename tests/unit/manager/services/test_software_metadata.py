"""The repository's metadata, judged by the framework's own client: versions, ends, keys that change or are away."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.support.homes import ROOT, Desk, desk, reopened
from tests.support.releases import Publisher
from tuf.api.exceptions import DownloadHTTPError, ExpiredMetadataError, RepositoryError
from tuf.ngclient import Updater
from tuf.ngclient.fetcher import FetcherInterface

from plimsoll.manager.ports import BadInput, Conflict
from plimsoll.manager.software import roots
from plimsoll.manager.software.keys import KeyUnusable, credential
from plimsoll.messages import release

DAY = 86400.0


class Clock:
    def __init__(self) -> None:
        import time

        self.now = time.time()

    def __call__(self) -> float:
        return self.now


class FromFolder(FetcherInterface):
    """What a client downloads: the service's own files."""

    def __init__(self, at: Desk) -> None:
        self.at = at

    def _fetch(self, url: str) -> Iterator[bytes]:
        path = self.at.services.software_metadata.file(url.rpartition("/")[2])
        if path is None:
            raise DownloadHTTPError("not there", 404)
        return iter([path.read_bytes()])


class Client:
    """A client with a memory, as an agent is one."""

    def __init__(self, at: Desk, folder: Path) -> None:
        self.at = at
        self.folder = folder
        folder.mkdir()
        self.root = at.services.software_metadata.root()

    def look(self) -> Updater:
        made = Updater(str(self.folder), "https://x/", fetcher=FromFolder(self.at), bootstrap=self.root)
        made.refresh()
        return made

    def versions(self) -> dict[str, int]:
        self.look()
        return {
            name: json.loads((self.folder / f"{name}.json").read_bytes())["signed"]["version"]
            for name in ("root", "timestamp", "snapshot", "targets")
        }


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def at(tmp_path: Path, clock: Clock) -> Iterator[Desk]:
    with desk(tmp_path, clock) as opened:
        assert opened.services.software_metadata.tend()
        yield opened


@pytest.fixture
def client(at: Desk, tmp_path: Path) -> Client:
    return Client(at, tmp_path / "client")


def events(at: Desk, number: int) -> list[str]:
    return [one.description for one in at.services.events.list(ROOT) if one.number == number]


def test_a_package_is_offered_as_soon_as_it_is_imported(at: Desk, client: Client) -> None:
    before = client.versions()
    publisher = Publisher().trusted_by(at.services)
    view = publisher.import_into(at.services, b"content")
    target = client.look().get_targetinfo(view.target)
    assert target is not None
    assert (target.length, target.hashes) == (7, {"sha256": view.sha256})
    assert target.custom["version"] == "12.1.0"
    assert release.verify(target.custom["signature"], [publisher.public]).target == view.target
    after = client.versions()
    assert after["root"] == before["root"] == 1
    assert all(after[name] > before[name] for name in ("timestamp", "snapshot", "targets"))
    at.services.software.delete(ROOT, view.id)
    assert client.look().get_targetinfo(view.target) is None


def test_versions_are_the_time_or_one_more(at: Desk, client: Client, clock: Clock) -> None:
    assert set(client.versions().values()) == {1, int(clock.now)}
    publisher = Publisher().trusted_by(at.services)
    clock.now -= DAY  # a clock that was set back, or a manager restored from a backup
    publisher.import_into(at.services, b"one")
    assert client.versions()["targets"] == int(clock.now + DAY) + 1
    clock.now += 20 * DAY
    publisher.import_into(at.services, b"two", version="12.2.0")
    assert client.versions()["targets"] == int(clock.now)


def test_nothing_is_signed_where_nothing_changed(at: Desk, client: Client, clock: Clock) -> None:
    before = client.versions()
    clock.now += 3600
    assert at.services.software_metadata.tend()
    assert client.versions() == before


def test_what_expires_is_signed_anew_long_before(at: Desk, client: Client, clock: Clock) -> None:
    before = client.versions()
    clock.now += 1.5 * DAY
    at.services.software_metadata.tend()
    day = client.versions()
    assert day["timestamp"] > before["timestamp"]
    assert (day["snapshot"], day["targets"]) == (before["snapshot"], before["targets"])
    clock.now += 35 * DAY
    at.services.software_metadata.tend()
    assert all(client.versions()[name] > day[name] for name in ("timestamp", "snapshot", "targets"))
    clock.now += 300 * DAY
    at.services.software_metadata.tend()
    assert client.versions()["root"] == 2, "the root too, as its key is here"


def test_a_client_refuses_what_was_left_to_expire(at: Desk, client: Client, clock: Clock) -> None:
    clock.now -= 30 * DAY
    at.services.software_metadata._repository.path("timestamp.json").unlink()
    at.services.software_metadata.tend()
    with pytest.raises(ExpiredMetadataError):
        client.look()


def test_old_states_are_forgotten_after_a_while(at: Desk, client: Client, clock: Clock) -> None:
    publisher = Publisher().trusted_by(at.services)
    folder = at.home.path / "software" / "metadata"
    for number in range(3):
        clock.now += 10
        publisher.import_into(at.services, bytes([number]), version=f"12.{number}.0")
    assert len(list(folder.glob("*.targets.json"))) == 4
    for path in folder.glob("*.json"):
        os.utime(path, (clock.now - 8 * DAY, clock.now - 8 * DAY))
    publisher.import_into(at.services, b"last", version="12.9.0")
    assert len(list(folder.glob("*.targets.json"))) == 1
    assert {path.name for path in folder.glob("*.root.json")} == {"1.root.json"}
    client.look()


@pytest.mark.parametrize(
    "name", ["../keys/root.pem", "root.json", "0.root.json", "1.other.json", "timestamp.json/", ""]
)
def test_only_metadata_is_handed_out(at: Desk, name: str) -> None:
    assert at.services.software_metadata.file(name) is None


def test_a_torn_state_is_made_anew(at: Desk, client: Client, clock: Clock) -> None:
    before = client.versions()
    clock.now += 5
    at.services.software_metadata._repository.path("timestamp.json").write_text("{")
    assert at.services.software_metadata.tend()
    assert client.versions()["timestamp"] > before["timestamp"]


# -- root


def test_keys_are_rotated_and_clients_follow(at: Desk, client: Client) -> None:
    service = at.services.software_metadata
    client.look()
    former = {role.role: role.keys for role in service.show(ROOT).roles}
    data, view = service.next_root(ROOT, rotate=["targets", "online"])
    assert (view.version, view.missing) == (2, (0, 0)), "our own root key has signed it"
    assert service.show(ROOT).roles[0].version == 1, "nothing changes before it is taken"
    service.take_root(ROOT, data)
    now = {role.role: role.keys for role in service.show(ROOT).roles}
    assert now["root"] == former["root"]
    assert all(now[name] != former[name] for name in ("targets", "snapshot", "timestamp"))
    assert client.versions()["root"] == 2
    assert "Root 2" in events(at, 1975)[0]


def test_the_root_key_is_taken_away_and_signs_elsewhere(at: Desk, client: Client, tmp_path: Path) -> None:
    service = at.services.software_metadata
    client.look()
    safe = [Ed25519PrivateKey.generate() for _ in range(2)]
    pems = [release.public_pem(release.public_of(key)).decode() for key in safe]
    own = service.show(ROOT).roles[0].keys[0]
    data, view = service.next_root(ROOT, add=pems, remove=[own[:8]], threshold=2)
    assert view.missing == (0, 2)
    with pytest.raises(Conflict, match=r"not signed by enough keys.*2 more by its own; nothing was changed"):
        service.take_root(ROOT, data)
    root = roots.read(data)
    roots.add_signature(root, safe[0])
    with pytest.raises(Conflict, match="1 more by its own"):
        service.take_root(ROOT, roots.written(root))
    roots.add_signature(root, safe[1])
    service.take_root(ROOT, roots.written(root))
    assert not (at.home.path / "software" / "keys" / "root.pem").exists(), (
        "a key that counts no longer is no secret to keep"
    )
    assert not service.show(ROOT).roles[0].here
    # From now on nothing changes without them, and all else goes on.
    data, view = service.next_root(ROOT, rotate=["targets"])
    assert view.missing == (2, 2)
    Publisher().trusted_by(at.services).import_into(at.services, b"content")
    assert client.versions()["root"] == 2
    root = roots.read(data)
    for key in safe:
        roots.add_signature(root, key)
    service.take_root(ROOT, roots.written(root))
    assert client.versions()["root"] == 3


def test_a_root_that_would_end_the_repository_is_refused(at: Desk) -> None:
    service = at.services.software_metadata
    first, _ = service.next_root(ROOT, rotate=["targets"])
    second, _ = service.next_root(ROOT, rotate=["targets"])
    with pytest.raises(Conflict, match=r"not on this manager.*exported after it"):
        service.take_root(ROOT, first)
    service.take_root(ROOT, second)
    with pytest.raises(Conflict, match="does not follow root 2"):
        service.take_root(ROOT, second)
    with pytest.raises(Conflict, match="no root metadata"):
        service.take_root(ROOT, b"{}")
    targets = next((at.home.path / "software" / "metadata").glob("*.targets.json"))
    with pytest.raises(Conflict, match="another role"):
        service.take_root(ROOT, targets.read_bytes())
    changed = json.loads(service.next_root(ROOT)[0])
    changed["signed"]["expires"] = "2040-01-01T00:00:00Z"
    with pytest.raises(Conflict, match="not signed by enough"):
        service.take_root(ROOT, json.dumps(changed).encode())


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ({"rotate": ["root"]}, "valid are targets, online"),
        ({"add": ["x"]}, "no public key"),
        ({"remove": ["zzzz"]}, "names no root key"),
        ({"threshold": 2}, "2 of 1 root keys"),
        ({"threshold": 0}, "0 of 1"),
        ({"days": 0}, "1 to 3650 days"),
    ],
)
def test_a_change_that_cannot_be_is_refused(at: Desk, wish: dict[str, object], said: str) -> None:
    with pytest.raises((BadInput, Conflict), match=f"{said}.*othing was changed"):
        at.services.software_metadata.next_root(ROOT, **wish)  # type: ignore[arg-type]  # a test wishes what it likes


def test_a_root_that_ends_is_said_in_time(at: Desk, clock: Clock) -> None:
    service = at.services.software_metadata
    safe = Ed25519PrivateKey.generate()
    own = service.show(ROOT).roles[0].keys[0]
    pem = release.public_pem(release.public_of(safe)).decode()
    root = roots.read(service.next_root(ROOT, add=[pem], remove=[own])[0])
    roots.add_signature(root, safe)
    service.take_root(ROOT, roots.written(root))
    assert events(at, 1974) == []
    clock.now += 310 * DAY
    service.tend()
    service.tend()
    (said,) = events(at, 1974)
    assert "Root 2" in said
    assert "expires in 55 days" in said
    assert "software root export" in said


# -- keys on disk


def test_keys_go_under_a_passphrase_once_there_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with desk(tmp_path) as opened:
        opened.services.software_metadata.tend()
        made, home = opened.made, opened.home.path
    keys = home / "software" / "keys"
    assert {path.name for path in keys.iterdir()} == {"root.pem", "targets.pem", "online.pem"}
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in keys.iterdir())
    with (home / "configuration.properties").open("a") as file:
        file.write("softwareCredential=software\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    (tmp_path / "software").write_text("open sesame\n")
    with reopened(home, made) as opened:
        Publisher().trusted_by(opened.services).import_into(opened.services, b"x")
        opened.services.software_metadata.show(ROOT)
        assert all(b"ENCRYPTED" in path.read_bytes() for path in keys.iterdir())
        client = Client(opened, tmp_path / "client")
        client.look()
    monkeypatch.delenv("CREDENTIALS_DIRECTORY")
    with reopened(home, made) as opened:
        service = opened.services.software_metadata
        opened.services.software.delete(ROOT, 1)
        assert not service.tend()
        said = events(opened, 1974)
        assert len(said) == 1, "said once"
        assert "no service manager gave any" in said[0]
        assert "go on with what was signed before" in said[0]
        assert "CREDENTIALS_DIRECTORY" in service.show(ROOT).problem
        client.at = opened
        client.look()
        monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
        assert service.tend()
        assert service.show(ROOT).problem == ""


@pytest.mark.parametrize(("content", "said"), [(None, "cannot be read"), ("", "is empty")])
def test_a_credential_that_is_none(tmp_path: Path, content: str | None, said: str) -> None:
    assert credential("") is None
    path = tmp_path / "secret"
    if content is not None:
        path.write_text(content)
    with pytest.raises(KeyUnusable, match=f"{said}.*nothing was signed"):
        credential(str(path))


def test_a_lost_key_is_named(at: Desk, client: Client) -> None:
    service = at.services.software_metadata
    keys = at.home.path / "software" / "keys"
    (keys / "targets.pem").unlink()
    Publisher().trusted_by(at.services).import_into(at.services, b"content")
    assert "the targets key is not on this manager" in service.show(ROOT).problem
    client.look()
    (keys / "targets.pem").write_bytes(release.make_key()[0])
    assert not service.tend()
    assert "is not the key that root 1 names" in service.show(ROOT).problem
    assert "software root rotate" in service.show(ROOT).problem
    data, _ = service.next_root(ROOT, rotate=["targets"])
    service.take_root(ROOT, data)
    assert service.show(ROOT).problem == ""
    assert client.look().get_targetinfo(at.services.software.list(ROOT)[0].target) is not None


def test_a_client_takes_no_metadata_of_another_repository(at: Desk, client: Client, tmp_path: Path) -> None:
    client.look()
    (tmp_path / "other").mkdir()
    with desk(tmp_path / "other") as other:
        other.services.software_metadata.tend()
        client.at = other
        with pytest.raises(RepositoryError):
            client.look()
