"""Tables for people and for pipes, and cells that say what is not known."""

from __future__ import annotations

import io

from plimsoll.cli._output import Output, aligned, cell, when, when_ms


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_cells() -> None:
    assert [cell(value) for value in (None, "", [], True, False, 0, ["a", None], "two\nlines")] == [
        "-",
        "-",
        "-",
        "yes",
        "no",
        "0",
        "a, -",
        "two lines",
    ]


def test_times_are_utc() -> None:
    assert when(1_763_900_000.7) == "2025-11-23 12:13:20Z"
    assert when_ms(1_763_900_000_700) == "2025-11-23 12:13:20Z"
    assert when(None) == when_ms(None) == when(0) == "-"


def test_a_pipe_gets_aligned_columns_without_trailing_blanks() -> None:
    assert aligned([["A", "LONG"], ["wide one", "x"]]) == ["A         LONG", "wide one  x"]


def test_a_terminal_gets_a_drawn_table_and_data_is_never_read_as_markup() -> None:
    out = Terminal()
    Output(out, io.StringIO()).table(("NAME",), [("[red]x[/red]",)], "Title")
    assert "[red]x[/red]" in out.getvalue()
    assert "Title" in out.getvalue()


def test_talk_goes_to_standard_error_with_the_programs_name() -> None:
    out, err = io.StringIO(), io.StringIO()
    output = Output(out, err, "dsm_c")
    output.say("no")
    output.detail("more")
    output.json_line({"ä": 1})
    assert (out.getvalue(), err.getvalue()) == ('{"ä": 1}\n', "dsm_c: no\n  more\n")
