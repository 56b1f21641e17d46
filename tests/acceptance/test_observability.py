"""What operators watch: health and readiness without a key, metrics of real heartbeats, a log that programs read."""

from __future__ import annotations

import json
import ssl
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families
from tests.support.manager import HOST, Manager, peer
from tests.support.process import eventually


def samples(manager: Manager, name: str) -> dict[tuple[str, ...], float]:
    text = manager.client.get("/metrics").text
    return {
        tuple(sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name
    }


def test_a_manager_is_watched(tmp_path: Path) -> None:
    manager = Manager(tmp_path / "home")
    with manager.file.open("a") as file:
        file.write("logFormat=json\n")
    manager.start()
    try:
        context = ssl.create_default_context(cafile=str(manager.ca))
        with httpx.Client(base_url=f"https://{HOST}:{manager.gui_port}", verify=context) as anybody:
            assert anybody.get("/health").json() == {"status": "ok"}
            ready = anybody.get("/ready")
            assert (ready.status_code, ready.json()) == (200, {"status": "ready"})
            assert ready.headers["cache-control"] == "no-store"
            assert anybody.get("/metrics").status_code == 401
        with peer(manager, tmp_path / "peer", "12.0.0", interval=0.3):
            eventually(
                lambda: samples(manager, "plimsoll_heartbeat_seconds_count").get(("new",), 0) >= 2, "heartbeats count"
            )
        assert samples(manager, "plimsoll_store_commit_seconds_count")[()] > 0
        assert samples(manager, "plimsoll_ready") == samples(manager, "plimsoll_floor_current") == {(): 1.0}
        queues = {"handshakes", "activation", "store", "presence", "sightings"}
        assert {queue for (queue,) in samples(manager, "plimsoll_queue_length")} == queues
        (known,) = manager.computers().values()
        assert manager.process is not None
        process = manager.process
        assert manager.stop() == 0
        lines = [json.loads(line) for line in process.errors if line.startswith("{")]
        # Until the file was read, the log is text.
        assert len(lines) == len([line for line in process.errors if line.strip()])
        activated = [line for line in lines if line.get("event") == 700 or "was activated" in line["message"]]
        assert activated, lines
        assert {line["target"] for line in activated} == {known["hostName"]}
        assert all(line["computer"] for line in activated)
    finally:
        manager.close()
