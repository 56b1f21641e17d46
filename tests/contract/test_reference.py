"""What is kept for programs of the reference, in every backend of the store."""

from __future__ import annotations

from plimsoll.manager.store import Store, access, kept_settings, tasks
from plimsoll.tls.versions import Version


def test_a_setting_is_put_changed_and_dropped(store: Store) -> None:
    for owner, name, value in ((1, "b", "1"), (1, "a", "2"), (2, "a", "ünlimited"), (1, "b", "3")):
        store.write(lambda c, o=owner, n=name, v=value: kept_settings.put(c, "policy", o, n, v))  # type: ignore[misc]
    store.write(lambda c: kept_settings.put(c, "computer", 1, "a", "another's"))
    assert store.read(lambda c: kept_settings.of(c, "policy", [1])) == {1: {"a": "2", "b": "3"}}
    assert store.read(lambda c: kept_settings.everything(c, "policy")) == {
        1: {"a": "2", "b": "3"},
        2: {"a": "ünlimited"},
    }
    store.write(lambda c: kept_settings.drop(c, "policy", 1, "a"))
    store.write(lambda c: kept_settings.drop(c, "policy", 2))
    assert store.read(lambda c: kept_settings.everything(c, "policy")) == {1: {"b": "3"}}
    assert store.read(lambda c: kept_settings.of(c, "computer", [1, 2])) == {1: {"a": "another's"}}
    assert store.read(lambda c: kept_settings.of(c, "computer", [])) == {}


def test_a_key_keeps_what_it_was_last_seen_with(store: Store) -> None:
    new = {"name": "n", "secret_hash": "h", "role": "auditor", "created": 1.0, "active": True, "who": "user:x"}
    key = store.write(lambda c: access.add_api_key(c, **new))
    made = store.read(lambda c: access.api_key(c, key))
    assert made is not None
    assert (made.last_tls, made.locale, made.time_zone, made.description) == (None, "en-US", "UTC", "")
    seen = {"last_tls": Version.TLS1_3, "last_ja4": "t13d", "last_address": "10.0.0.1", "time_zone": "US/Eastern"}
    store.write(lambda c: access.change_api_key(c, key, **seen))
    noted = store.read(lambda c: access.api_key(c, key))
    assert noted is not None
    assert {name: getattr(noted, name) for name in seen} == seen


def test_a_task_is_due_by_time_or_by_wish(store: Store) -> None:
    new = {"name": "n", "type": "send-policy", "schedule": {"timeZone": "UTC"}, "parameters": {}, "who": "user:x"}
    state = {"created": 1.0, "last_text": "", "runs": 0}
    first = store.write(lambda c: tasks.add(c, **new, **state, enabled=True, next_run=50.0))
    second = store.write(lambda c: tasks.add(c, **new, **state, enabled=False, next_run=50.0))
    third = store.write(lambda c: tasks.add(c, **new, **state, enabled=True))
    assert [one.id for one in store.read(tasks.everything)] == [first, second, third]
    assert store.read(lambda c: tasks.due(c, 49.0)) == ()
    assert [one.id for one in store.read(lambda c: tasks.due(c, 50.0))] == [first]
    store.write(lambda c: tasks.change(c, second, asked=7.0))
    assert [one.id for one in store.read(lambda c: tasks.due(c, 50.0))] == [first, second]
    kept = store.read(lambda c: tasks.get(c, first))
    assert kept is not None
    assert (kept.schedule, kept.last_ok, kept.next_run) == ({"timeZone": "UTC"}, None, 50.0)
    store.write(lambda c: tasks.remove(c, third))
    assert store.read(lambda c: tasks.get(c, third)) is None
    assert store.write(lambda c: tasks.add(c, **new, **state, enabled=True)) > third, "an id is never given twice"
