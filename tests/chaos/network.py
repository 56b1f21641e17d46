"""A network of its own: loopback in a new network namespace, where rules of nftables drop packets."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

_CLONE_NEWNET = 0x40000000
_TABLE = "chaos"


@functools.cache
def why_not() -> str:
    """Why this machine does not permit a network of our own; empty where it does."""
    if os.geteuid() != 0:
        return "a network namespace of our own needs root"
    for tool in ("ip", "nft"):
        if _path(tool) is None:
            return f"{tool} is not installed: run 'make deps' as root"
    with own_network() as own:
        if not own:
            return "the kernel gives no network namespace of our own"
        try:
            with dropping("meta mark 1"):
                return ""
        except AssertionError as error:
            return f"the kernel takes no rules of nftables: {error}"


def needs_rules() -> None:
    """Skips the test, with the reason, where packets cannot be dropped."""
    if reason := why_not():
        pytest.skip(reason)


@contextlib.contextmanager
def own_network() -> Iterator[bool]:
    """This thread, and every thread and process that it starts, has a loopback of its own until the end.

    What ``ip netns exec`` does for a command. False where that cannot be: then nothing happens, and whoever needs
    rules asks `needs_rules`.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    with Path("/proc/thread-self/ns/net").open() as before:
        if os.geteuid() != 0 or _path("ip") is None or libc.unshare(_CLONE_NEWNET) != 0:
            yield False
            return
        try:
            _call("ip", "link", "set", "lo", "up")
            yield True
        finally:
            assert libc.setns(before.fileno(), _CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())


@dataclass(frozen=True, slots=True)
class Dropped:
    """How many packets the rules took until now."""

    def count(self) -> int:
        return sum(
            int(found) for found in re.findall(r"counter packets (\d+)", _call("nft", "list", "table", "inet", _TABLE))
        )


@contextlib.contextmanager
def dropping(*matches: str) -> Iterator[Dropped]:
    """Packets that match one of these expressions of nftables are dropped on their way in, until the end."""
    rules = "\n".join(f"    {match} counter drop" for match in matches)
    text = f"table inet {_TABLE} {{\n  chain in {{\n    type filter hook input priority 0;\n{rules}\n  }}\n}}\n"
    _call("nft", "-f", "-", text=text)
    try:
        yield Dropped()
    finally:
        _call("nft", "delete", "table", "inet", _TABLE)


def _path(tool: str) -> str | None:
    return shutil.which(tool, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def _call(tool: str, *arguments: str, text: str = "") -> str:
    path = _path(tool)
    assert path is not None, f"{tool} is not installed: run 'make deps' as root"
    done = subprocess.run([path, *arguments], input=text, capture_output=True, text=True)
    assert done.returncode == 0, f"{tool} {' '.join(arguments)}: {done.stderr.strip()}"
    return done.stdout
