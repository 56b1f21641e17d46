"""A peer's words, made fit to stand in a sentence for people."""

from __future__ import annotations

from typing import Final

_MOST: Final = 120


def said(words: str | bytes) -> str:
    """What the peer said, in quotes: short, and without anything that a terminal would obey."""
    text = words.decode("utf-8", "replace") if isinstance(words, bytes) else words
    text = "".join(mark if mark.isprintable() else "?" for mark in text.strip())
    return repr(text if len(text) <= _MOST else f"{text[: _MOST - 3]}...")
