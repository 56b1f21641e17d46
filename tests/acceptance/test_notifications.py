"""A running manager tells a real rsyslog over TLS and a webhook, and what a restart or an outage held up arrives."""

from __future__ import annotations

import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.support.manager import Manager, manager
from tests.support.process import eventually, free_ports, parse_json
from tests.unit.manager.notify.receivers import hook_receiver, server_context

from plimsoll.testing.certificates import TestAuthority

CONFIGURATION = """
global(workDirectory="{folder}" DefaultNetstreamDriver="ossl" DefaultNetstreamDriverCAFile="{folder}/ca.pem"
       DefaultNetstreamDriverCertFile="{folder}/server.pem" DefaultNetstreamDriverKeyFile="{folder}/server.key")
module(load="imtcp" StreamDriver.Name="ossl" StreamDriver.Mode="1" StreamDriver.AuthMode="anon")
input(type="imtcp" port="{port}" address="127.0.0.1")
template(name="all" type="string" string="%pri%|%app-name%|%msgid%|%structured-data%|%msg%\\n")
action(type="omfile" file="{folder}/log" template="all" asyncWriting="off")
"""


class Rsyslog:
    """Debian's rsyslogd with OpenSSL, writing what it parsed into a file."""

    def __init__(self, folder: Path, authority: TestAuthority) -> None:
        self.folder = folder
        (self.port,) = free_ports(1)
        (folder / "ca.pem").write_bytes(authority.pem)
        authority.leaf("manager", "rsyslog", hosts=("127.0.0.1",)).write(folder, "server")
        (folder / "rsyslog.conf").write_text(CONFIGURATION.format(folder=folder, port=self.port))
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        binary = shutil.which("rsyslogd", path="/usr/sbin:/usr/bin")
        assert binary is not None, "make deps installs rsyslog"
        command = [binary, "-n", "-f", str(self.folder / "rsyslog.conf"), "-i", str(self.folder / "pid")]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        eventually(self._listens, "rsyslogd listens")

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(20)
            self.process = None

    def lines(self) -> list[str]:
        log = self.folder / "log"
        return log.read_text().splitlines() if log.exists() else []


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Manager]:
    with manager(tmp_path / "home") as made:
        yield made


def test_what_happens_is_told_and_nothing_is_lost(running: Manager, tmp_path: Path) -> None:
    folder = tmp_path / "rsyslog"
    folder.mkdir()
    authority = TestAuthority()
    receiver = Rsyslog(folder, authority)
    receiver.start()
    with hook_receiver(server_context(authority, tmp_path), (503, {"retry-after": "0"})) as hook:
        try:
            siem = parse_json(
                running.cli(
                    "notify", "syslog", "siem", "--host", "127.0.0.1", "--port", str(receiver.port), "--ca",
                    folder / "ca.pem", "--json",
                )
            )  # fmt: skip
            trial = running.cli("notify", "test", str(siem["ID"]))
            assert trial.stdout == "1 sent over TLSv1.3\n", trial.stderr
            hooked = running.cli("notify", "webhook", "chat", "--url", hook.url, "--ca", folder / "ca.pem", "--json")
            assert parse_json(hooked)["secret"].startswith("whsec_")

            running.set_minimum("TLSv1.3")
            eventually(lambda: any("|1950|" in line for line in receiver.lines()), "the floor's event in rsyslog")
            (line, *_) = [line for line in receiver.lines() if "|1950|" in line]
            assert re.match(r'134\|plimsoll\|1950\|\[origin software="Plimsoll" .*\]\|CEF:0\|Plimsoll\|Manager\|', line)
            assert "TLSv1.3" in line
            # Refused once by 503, it came again under the same name.
            first, second = hook.wait(2)[:2]
            assert first.headers["webhook-id"] == second.headers["webhook-id"]

            # The receiver goes away, and so does the manager; what happened meanwhile arrives later.
            receiver.stop()
            running.set_minimum("TLSv1.2")
            eventually(lambda: "fails: " in running.cli("notify", "list").stdout, "the failure shows")
            running.kill()
            running.start()
            receiver.start()
            told = [line for line in receiver.lines() if "|1950|" in line]
            eventually(
                lambda: len([line for line in receiver.lines() if "|1950|" in line]) > len(told) or len(told) > 1,
                "what happened meanwhile",
            )
            assert "1.2" in [line for line in receiver.lines() if "|1950|" in line][-1]
        finally:
            receiver.stop()


def test_prometheus_reads_4119(running: Manager) -> None:
    context = ssl.create_default_context(cafile=str(running.ca))
    with httpx.Client(verify=context, base_url=f"https://127.0.0.1:{running.gui_port}") as client:
        assert client.get("/metrics").status_code == 401
        answer = client.get("/metrics", headers={"authorization": f"Bearer {running.api_key}"})
        assert answer.status_code == 200
        assert 'plimsoll_floor{point="heartbeat"} 1.2' in answer.text

        def counted() -> bool:
            text = client.get("/metrics", headers={"authorization": f"Bearer {running.api_key}"}).text
            return 'plimsoll_handshakes_total{outcome="admitted",point="gui",version="TLSv1.3"}' in text

        eventually(counted, "our own handshake is counted")
