"""Values as literals of sh and of PowerShell: whatever they hold, they arrive as they are and run nothing.

A script is a head of assignments, made here, and a body that is always the same: so this file is the only place where
a value becomes part of a program.
"""

from __future__ import annotations

from collections.abc import Sequence


class UnquotableError(ValueError):
    """A value that no script can carry safely. The message says which and why."""

    def __init__(self, what: str, why: str) -> None:
        self.what = what
        super().__init__(f"{what} {why}; no script was made")


#: No name, address or token is longer, in characters.
LONGEST = 2000


def checked(what: str, value: str) -> str:
    """A value for people, on one line. Raises UnquotableError.

    Control characters are refused even where quotes would hold them: a script is pasted into a terminal, which acts on
    them before any shell reads a quote.
    """
    if len(value) > LONGEST:
        raise UnquotableError(what, f"has more than {LONGEST} characters")
    for char in value:
        if ord(char) < 0x20 or 0x7F <= ord(char) < 0xA0 or char in "\u2028\u2029":
            raise UnquotableError(what, f"has a control character (U+{ord(char):04X}) in it")
        if _is_format(char):
            raise UnquotableError(what, f"has a character that hides others (U+{ord(char):04X}) in it")
        if 0xD800 <= ord(char) < 0xE000:
            raise UnquotableError(what, "has half a character in it")
    return value


def _is_format(char: str) -> bool:
    """Marks of direction: what is shown would not be what runs."""
    return char in "\u061c\u200e\u200f" or 0x202A <= ord(char) <= 0x202E or 0x2066 <= ord(char) <= 0x2069


def sh(value: str) -> str:
    """A literal of any POSIX shell: in single quotes nothing is special but the single quote itself (XCU 2.2.2)."""
    if "\0" in value:
        raise UnquotableError("a value", "has a zero byte in it")
    return "'" + value.replace("'", "'\\''") + "'"


def powershell(value: str) -> str:
    """An expression of any PowerShell, in ASCII, since the encoding of a saved script is anybody's guess.

    PowerShell takes typographic quotes for quotes too: like every character that is not plain they are said by number.
    """
    parts: list[str] = []
    text = ""
    for unit in _utf16(value):
        if 0x20 <= unit < 0x7F:
            text += "''" if unit == 0x27 else chr(unit)
            continue
        if text:
            parts.append(f"'{text}'")
            text = ""
        parts.append(f"[char]{unit}")
    if text or not parts:
        parts.append(f"'{text}'")
    # A text in front, so that + joins and never adds.
    if parts[0][0] != "'":
        parts.insert(0, "''")
    return parts[0] if len(parts) == 1 else f"({' + '.join(parts)})"


def sh_head(values: Sequence[tuple[str, str]]) -> str:
    """One assignment a line; a value may have several lines of its own."""
    return "".join(f"{name}={sh(value)}\n" for name, value in values)


def powershell_head(values: Sequence[tuple[str, str | Sequence[str]]]) -> str:
    """One assignment a line; a sequence becomes an array."""
    return "".join(f"${name} = {_expression(value)}\n" for name, value in values)


def _expression(value: str | Sequence[str]) -> str:
    if isinstance(value, str):
        return powershell(value)
    return f"@({', '.join(powershell(one) for one in value)})"


def _utf16(value: str) -> list[int]:
    data = value.encode("utf-16-le", "surrogatepass")
    return [int.from_bytes(data[at : at + 2], "little") for at in range(0, len(data), 2)]
