from __future__ import annotations

import pytest

from plimsoll.manager.database import DatabaseAddress, parse


def address(text: str) -> DatabaseAddress:
    found = parse(text)
    assert found is not None
    return found


def test_the_file_in_the_home() -> None:
    assert parse("sqlite") is None


@pytest.mark.parametrize(
    ("text", "parameters"),
    [
        ("postgresql://anna@db.example/fleet", {"user": "anna", "host": "db.example", "port": "5432"}),
        ("postgresql://anna@db.example:6000/fleet?sslmode=verify-full",
         {"user": "anna", "host": "db.example", "port": "6000", "sslmode": "verify-full"}),
        ("postgresql://a@[2001:db8::5]:6000/fleet", {"user": "a", "host": "2001:db8::5", "port": "6000"}),
        ("postgresql://a@one,two:6000/fleet?target_session_attrs=read-write",
         {"user": "a", "host": "one,two", "port": "5432,6000", "target_session_attrs": "read-write"}),
        ("postgresql:///fleet?host=/run/postgresql", {"host": "/run/postgresql", "port": "5432"}),
        ("postgresql://a@%2Frun%2Fpostgresql/fleet", {"user": "a", "host": "/run/postgresql", "port": "5432"}),
        ("postgresql://a%40corp@h/fleet?options=-csearch_path%3Dours",
         {"user": "a@corp", "host": "h", "port": "5432", "options": "-csearch_path=ours"}),
    ],
)  # fmt: skip
def test_an_address_becomes_libpq_s_keywords_and_is_written_as_it_was_read(
    text: str, parameters: dict[str, str]
) -> None:
    found = address(text)
    assert found.parameters() == {"dbname": "fleet", **parameters}
    assert address(str(found)) == found


def test_libpq_reads_an_address_as_we_do() -> None:
    from psycopg.conninfo import conninfo_to_dict

    for text in (
        "postgresql://anna@db.example:6000/fleet?sslmode=verify-full",
        "postgresql://a@one,two:6000/fl%20eet",
        "postgresql://a@[2001:db8::5]/fleet",
    ):
        theirs = {name: str(value) for name, value in conninfo_to_dict(text).items()}
        assert address(text).parameters() | {"port": ""} == theirs | {"port": ""}


def test_a_password_is_taken_and_never_shown() -> None:
    found = address("postgresql://anna:s%40cret@db/fleet")
    assert found.password == "s@cret"
    assert "cret" not in f"{found} {found!r} {found.parameters()}"
    assert found.passfile_line("a:b\\c") == "*:*:fleet:anna:a\\:b\\\\c\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("mysql://a:secret@h/x", "must be sqlite or"),
        ("postgresql:/a:secret@h/x", "must be sqlite or"),
        ("SQLITE", "must be sqlite or"),
        ("postgresql://a:secret@h", "names no database"),
        ("postgresql://a:secret@h/x/y", "form"),
        ("postgresql://a:secret@h/x#y", "form"),
        ("postgresql://a:secret@h:0/x", "port"),
        ("postgresql://a:secret@h:66000/x", "port"),
        ("postgresql://a:secret@2001:db8::5/x", "brackets"),
        ("postgresql://a:secret@h/x y", "blanks"),
        ("postgresql://a:secret@h℀.de/x", "is no address"),
        ("postgresql://a:secret@[h/x", "is no address"),
        ("postgresql://a@h/x?password=secret", "password does not stand"),
        ("postgresql://a:secret@h/x?sslmod=require", "unknown parameter 'sslmod'"),
        ("postgresql://a:secret@h/x?sslmode=on", "none of disable"),
        ("postgresql://a:secret@h/x?sslmode=require&sslmode=disable", "more than once"),
        ("postgresql://a:secret@h/x?sslmode=prefer", "clear text without a word"),
        ("postgresql://a:secret@h/x?sslmode=allow&sslrootcert=/ca.pem", "clear text without a word"),
        ("postgresql://a:secret@h/x?sslrootcert=/ca.pem", "has sslrootcert and no sslmode"),
        ("postgresql://a:secret@h/x?ssl_min_protocol_version=TLSv1.2", "and no sslmode"),
        ("postgresql://a:secret@h/x?sslmode", "name=value"),
        ("postgresql://a:secret@h/x?passfile=secret.pass", "whole path"),
        ("postgresql://a:secret@h/x?connect_timeout=soon", "seconds"),
    ],
)
def test_what_is_wrong_is_said_without_the_address(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        parse(text)
    assert "secret" not in str(caught.value)


def test_a_socket_is_local() -> None:
    assert address("postgresql:///fleet?host=/run/postgresql").local
    assert address("postgresql://a@%2Frun/fleet").local
    assert not address("postgresql://a@127.0.0.1/fleet").local


@pytest.mark.rule("R4")
@pytest.mark.parametrize(
    ("query", "asks"),
    [
        ("", False),
        ("?sslmode=disable", False),
        ("?sslmode=require", True),
        ("?sslmode=verify-full&sslrootcert=/ca.pem", True),
        ("?gssencmode=require", True),
    ],
)
def test_an_address_asks_for_encryption_or_does_not(query: str, asks: bool) -> None:
    assert address(f"postgresql://a@h/x{query}").encrypted is asks
