"""Small things that the written forms share: safe text, and times that say in which zone they are."""

from __future__ import annotations

import time


def printable(text: str) -> str:
    """A stranger's words on one line, without what could steer a terminal."""
    return text if text.isprintable() else "".join(mark if mark.isprintable() else "?" for mark in text)


def moment(seconds: float) -> str:
    """A time for people, in their zone, which is named."""
    return time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(seconds))


def utc(seconds: float) -> str:
    """A time for programs (RFC 3339, UTC); "" where there is none."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds)) if seconds else ""


def day(seconds: float) -> str:
    """The day in UTC, as certificates count it."""
    return time.strftime("%Y-%m-%d", time.gmtime(seconds)) if seconds else "unknown"


def plural(count: int, noun: str) -> str:
    """A number with its noun."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
