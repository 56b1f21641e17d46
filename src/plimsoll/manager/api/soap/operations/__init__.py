"""The operations, a file a subject. Importing this declares them all."""

from __future__ import annotations

from plimsoll.manager.api.soap.operations import authentication, groups, hosts, profiles, settings, software, system

__all__ = ["authentication", "groups", "hosts", "profiles", "settings", "software", "system"]
