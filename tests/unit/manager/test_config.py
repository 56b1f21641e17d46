from __future__ import annotations

from pathlib import Path

import javaproperties
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.manager import config
from plimsoll.manager.config import ConfigurationError, Properties, gui_floor, protocols_for
from plimsoll.tls.versions import FLOORS, Version

PLACE = Path("configuration.properties")


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "configuration.properties"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    ("text", "line", "column", "said"),
    [
        ("serviceName=a\nguiPort\n", 2, 8, "expected '='"),
        ("serviceName=a\n  guiPort 4119", 2, 15, "expected '='"),
        ("a=1\nb=\\u12g4\n", 2, 3, "hexadecimal"),
        ("a=1\nb=x\\u12", 2, 4, "hexadecimal"),
        ("=4119\n", 1, 1, "no key"),
        ("a=b\nprotocols=TLSv1,\\\n", 2, 17, "file ends"),
        ("a=b\nc=d\0e\n", 2, 4, "NUL"),
        ("guiPort=4119x\n", 1, 9, "port number"),
        ("guiPort=70000\n", 1, 9, "port number"),
        ("guiPort=5\nheartbeatPort=5\n", 2, 15, "same port"),
        ("protocols=TLSv1.2, TLSv9\n", 1, 11, "unknown TLS version 'TLSv9'"),
        ("protocols = SSLv3\n", 1, 13, "unknown TLS version 'SSLv3'"),
        ("protocols=\n", 1, 11, "names no version"),
        ("sightingsDays=0\n", 1, 15, "days from 1 to 3650"),
        ("apiRequestsPerMinute=many\n", 1, 22, "0 for no limit"),
        ("apiRequestsPerMinuteAll=-1\n", 1, 25, "0 for no limit"),
        ("sightingsHourlyDays=2w\n", 1, 21, "days from 1 to 3650"),
    ],
)
def test_a_malformed_file_is_refused_with_line_and_column(
    tmp_path: Path, text: str, line: int, column: int, said: str
) -> None:
    with pytest.raises(ConfigurationError, match=said) as caught:
        config.load(write(tmp_path, text))
    assert (caught.value.line, caught.value.column) == (line, column)
    assert f"line {line}, column {column}" in caught.value.message


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file"):
        config.load(tmp_path / "none")


def test_a_file_as_administrators_write_it(tmp_path: Path) -> None:
    text = (
        "# comment with = and \\u\n! another\n\n  serviceName : Deep\\u0020Guard \r\n"
        "protocols= TLSv1.2 , \\\n   TLSv1.3\nguiPort=443\nmail.smtp.host=relay\ntrustedProxies=10.0.0.1, 10.0.0.2\n"
    )
    read = config.load(write(tmp_path, text))
    assert read.service_name == "Deep Guard"
    assert read.protocols == "TLSv1.2 , TLSv1.3"
    assert (read.gui_port, read.heartbeat_port) == (443, 4120)
    assert read.trusted_proxies == ("10.0.0.1", "10.0.0.2")
    assert read.unknown == ("mail.smtp.host",)


NAMES = st.text("abcXYZ0189._-", min_size=1, max_size=8)
VALUES = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=12).map(str.strip)


@given(st.dictionaries(NAMES, VALUES, max_size=6))
def test_what_java_writes_is_read_alike(values: dict[str, str]) -> None:
    text = javaproperties.dumps(values, timestamp=False)
    assert {entry.key: entry.value for entry in Properties(PLACE, text).entries} == values


@given(st.text("ab=:#! \\\n\r\tu0é", max_size=40))
def test_any_text_is_read_or_refused_in_words(text: str) -> None:
    try:
        properties = Properties(PLACE, text)
    except ConfigurationError as error:
        assert error.line >= 1
        assert error.column >= 1
        return
    assert properties.text == text
    for value in ("TLSv1,TLSv1.1", "ä \\x", None):
        again = Properties(PLACE, properties.with_value("protocols", value, below="a"))
        found = again.get("protocols")
        assert (found.value if found else None) == value
        kept = [(entry.key, entry.value) for entry in properties.entries if entry.key != "protocols"]
        assert [(entry.key, entry.value) for entry in again.entries if entry.key != "protocols"] == kept


@pytest.mark.rule("R15")
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_a_rewrite_touches_its_own_line_only(tmp_path: Path, ending: str) -> None:
    lines = ["# head", "", "serviceName=Guard", "  # protocols=TLSv1", "guiPort = 4119", "odd\\ key:  v", "# tail é"]
    original = ending.join(lines) + ending
    path = write(tmp_path, original)
    path.chmod(0o640)
    config.write_protocols(path, "TLSv1,TLSv1.1,TLSv1.2,TLSv1.3")
    lines.insert(3, "protocols=TLSv1,TLSv1.1,TLSv1.2,TLSv1.3")
    assert path.read_bytes().decode() == ending.join(lines) + ending
    config.write_protocols(path, "TLSv1.2,TLSv1.3")
    assert path.read_bytes().decode() == original.replace("Guard", f"Guard{ending}protocols=TLSv1.2,TLSv1.3")
    config.write_protocols(path, None)
    assert path.read_bytes().decode() == original
    assert path.stat().st_mode & 0o777 == 0o640
    assert list(tmp_path.iterdir()) == [path]


def test_a_rewrite_keeps_latin_1_and_goes_where_the_old_line_was(tmp_path: Path) -> None:
    path = write(tmp_path, b"a=caf\xe9\nprotocols=TLSv1.2,\\\n  TLSv1.3\nserviceName=x\nprotocols=TLSv1.3\nz=1")
    config.write_protocols(path, "TLSv1.1,TLSv1.2,TLSv1.3")
    assert path.read_bytes() == b"a=caf\xe9\nserviceName=x\nprotocols=TLSv1.1,TLSv1.2,TLSv1.3\nz=1"


def test_a_new_line_at_the_end_of_a_file_without_one(tmp_path: Path) -> None:
    path = write(tmp_path, b"guiPort=1")
    config.write_protocols(path, "TLSv1.3")
    assert path.read_bytes() == b"guiPort=1\nprotocols=TLSv1.3\n"


def test_nothing_is_written_where_nothing_changes(tmp_path: Path) -> None:
    path = write(tmp_path, "protocols=TLSv1.2\n")
    before = path.stat()
    config.write_protocols(path, "TLSv1.2")
    assert path.stat().st_ino == before.st_ino


@pytest.mark.rule("R15")
@pytest.mark.parametrize(
    ("protocols", "heartbeat", "floor"),
    [
        (None, Version.TLS1_0, Version.TLS1_2),
        (None, Version.TLS1_2, Version.TLS1_2),
        (None, Version.TLS1_3, Version.TLS1_3),
        ("TLSv1.2", Version.TLS1_3, Version.TLS1_2),
        ("TLSv1.3,TLSv1.1", Version.TLS1_0, Version.TLS1_1),
        ("TLSv1,TLSv1.2", Version.TLS1_2, Version.TLS1_0),
        ("SSLv2Hello,TLSv1", Version.TLS1_0, Version.TLS1_0),
    ],
)
def test_the_file_decides_the_gui_floor(protocols: str | None, heartbeat: Version, floor: Version) -> None:
    assert gui_floor(protocols, heartbeat) is floor


@pytest.mark.parametrize("gui", FLOORS)
@pytest.mark.parametrize("heartbeat", FLOORS)
def test_the_line_that_is_written_gives_the_floor_that_was_asked(gui: Version, heartbeat: Version) -> None:
    assert gui_floor(protocols_for(gui, heartbeat), heartbeat) is gui


def test_only_another_value_has_another_digest() -> None:
    values = [None, "", "none", "TLSv1", "TLSv1.2"]
    assert len({config.digest(value) for value in values}) == len(values)
