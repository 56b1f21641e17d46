"""`plimsoll manager` speaks in the words of configuration.properties."""

from __future__ import annotations

from plimsoll.cli.manager import _as_written
from plimsoll.manager import config


def test_a_setting_is_named_as_the_file_spells_it() -> None:
    assert {_as_written(name) for name in config.AT_START} <= set(config.KNOWN)
