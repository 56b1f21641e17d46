"""The Linux scripts: clean for shellcheck, nothing at all when cut off, and right about which Linux this is."""

from __future__ import annotations

import itertools
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.unit.manager.deploy.test_quoting import PACKAGE, SOURCE

from plimsoll.manager.deploy import platforms, scripts
from plimsoll.manager.deploy.quoting import UnquotableError
from plimsoll.manager.deploy.scripts import Activating

HOW = Activating(
    url="dsm://manager:4120/", token="pt1.a.b.c", policy="3", group="4", relay_group="5", display_name="it's the shop",
    relay=True, until="until tomorrow",
)  # fmt: skip
SCRIPTS = {
    "generated": scripts.linux("12.0", SOURCE, [PACKAGE], HOW),
    "install only": scripts.linux("12.0", SOURCE, [PACKAGE, PACKAGE], Activating(url="dsm://manager:4120/")),
    "rpm": scripts.workaround_linux("12.0", "http://web", "agent.rpm", PACKAGE, HOW, "rpm"),
    "dpkg": scripts.workaround_linux("12.0", "http://web", "agent.deb", None, HOW, "deb"),
    "detection": "#!/bin/sh\n" + scripts.detection(),
}


@pytest.mark.rule("R21")
@pytest.mark.parametrize("name", SCRIPTS)
def test_shellcheck_finds_nothing(name: str) -> None:
    done = subprocess.run(
        ["shellcheck", "--shell=sh", "--severity=style", "-"], input=SCRIPTS[name], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("name", ["generated", "rpm"])
@pytest.mark.parametrize("shell", [shell for shell in ("dash", "bash") if shutil.which(shell)])
def test_a_script_that_was_cut_off_runs_nothing(tmp_path: Path, name: str, shell: str) -> None:
    """At any line, and in the middle of one: not even the assignments of its head are carried out."""
    script = SCRIPTS[name]
    ends = [at for at, char in enumerate(script) if char == "\n"]
    for at in {*ends[4::9], *(end - 3 for end in ends[4::31]), len(script) - 3}:
        cut = script[:at]
        if cut.rstrip().endswith("\n)"):
            continue
        done = subprocess.run([shell, "-x"], input=cut, capture_output=True, text=True, cwd=tmp_path)
        # -x shows every command that ran.
        assert "+ " not in done.stderr, (at, done.stderr)
        assert done.stdout == ""


def test_a_script_leaves_nothing_in_the_shell_that_it_is_pasted_into() -> None:
    pasted = SCRIPTS["generated"].replace("\nmain\n)", "\n:\n)") + 'echo "[${TOKEN:-none}] $?"\ntype main\n'
    done = subprocess.run(["sh"], input=pasted, capture_output=True, text=True)
    assert done.stdout.splitlines()[0] == "[none] 0"
    assert "not found" in done.stdout + done.stderr


def test_a_script_with_a_token_says_so_at_its_head_and_one_without_does_not() -> None:
    assert "It carries an activation token" in "\n".join(SCRIPTS["generated"].splitlines()[:4])
    assert "until tomorrow" in SCRIPTS["generated"].splitlines()[1]
    assert "It carries an activation token" not in SCRIPTS["install only"]
    with pytest.raises(UnquotableError, match="the display name has a control character"):
        scripts.linux("12.0", SOURCE, [], Activating(url="dsm://m:4120/", display_name="a\nb"))


@pytest.mark.rule("R21")
@pytest.mark.parametrize("version", ["7.19.7", "7.33.0", "no version at all"])
def test_a_curl_without_the_option_is_too_old_whatever_it_says(tmp_path: Path, version: str) -> None:
    curl = tmp_path / "curl"
    curl.write_text(f'#!/bin/sh\n[ "$1" != --tlsv1.2 ] || exit 2\necho "curl {version} (x86_64)"\n')
    curl.chmod(0o755)
    script = SCRIPTS["generated"].replace("\nmain\n)", "\ncheck_curl\n)")
    done = subprocess.run(
        ["/bin/sh"], input=script, capture_output=True, text=True, env={"PATH": f"{tmp_path}:/usr/bin:/bin"}
    )
    assert done.returncode == 12
    assert (version if version[0] == "7" else "of an unknown version") in done.stderr


RELEASES = [
    ("Debian_12", 0, {"os-release": 'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n'}),
    ("Ubuntu_20.04", 0, {"os-release": 'ID=ubuntu\nID_LIKE=debian\nVERSION_ID="20.04"\n'}),
    ("Ubuntu_22.04", 0, {"os-release": "ID=ubuntu\nVERSION_ID='22.04'\n"}),
    ("RedHat_EL8", 1, {"os-release": 'ID="rhel"\nID_LIKE="fedora"\nVERSION_ID="8.10"\n'}),
    ("RedHat_EL9", 1, {"os-release": 'ID="rhel"\nVERSION_ID="9"\n'}),
    ("CentOS_7", 1, {"os-release": 'ID="centos"\nVERSION_ID="7"\n', "redhat-release": "CentOS Linux release 7.9\n"}),
    ("Rocky_9", 1, {"os-release": 'ID="rocky"\nVERSION_ID="9.4"\n'}),
    ("AlmaLinux_8", 1, {"os-release": 'ID="almalinux"\nVERSION_ID="8.9"\n'}),
    ("Oracle_OL8", 1, {"os-release": 'ID="ol"\nVERSION_ID="8.9"\n'}),
    ("CloudLinux_8", 1, {"os-release": 'ID="cloudlinux"\nVERSION_ID="8.9"\n'}),
    ("Miracle_8", 1, {"os-release": 'ID="miraclelinux"\nVERSION_ID="8"\n'}),
    ("SuSE_15", 1, {"os-release": 'ID="sles"\nID_LIKE="suse"\nVERSION_ID="15.5"\n'}),
    ("SuSE_15", 1, {"os-release": 'ID="opensuse-leap"\nVERSION_ID="15.6"\n'}),
    ("amzn2", 1, {"os-release": 'ID="amzn"\nVERSION_ID="2"\n'}),
    ("amzn2023", 1, {"os-release": 'ID="amzn"\nVERSION_ID="2023"\n'}),
    ("amzn1", 1, {"os-release": 'ID="amzn"\nVERSION_ID="2018.03"\n'}),
    ("fedora_40", 1, {"os-release": "ID=fedora\nVERSION_ID=40\n"}),
    ("linuxmint_21", 0, {"os-release": 'ID=linuxmint\nID_LIKE="ubuntu debian"\nVERSION_ID="21.3"\n'}),
    ("plan9_4", "", {"os-release": 'ID=plan9\nVERSION_ID="4"\n'}),
    ("RedHat_EL6", 1, {"redhat-release": "Red Hat Enterprise Linux Server release 6.10 (Santiago)\n"}),
    ("CentOS_6", 1, {"redhat-release": "CentOS release 6.9 (Final)\n"}),
    ("RedHatWorkstation_6", 1, {"redhat-release": "Red Hat Enterprise Linux Workstation release 6.9 (Santiago)\n"}),
    ("Oracle_OL6", 1, {"oracle-release": "Oracle Linux Server release 6.10\n", "redhat-release": "Red Hat 6.10\n"}),
    ("SuSE_11", 1, {"SuSE-release": "SUSE Linux Enterprise Server 11 (x86_64)\nVERSION = 11\n"}),
    ("amzn1", 1, {"system-release": "Amazon Linux AMI release 2014.03\n"}),
    ("Ubuntu_12.04", 0, {"lsb-release": 'DISTRIB_ID=Ubuntu\nDISTRIB_RELEASE=12.04\nDISTRIB_DESCRIPTION="Ubuntu"\n'}),
    ("Debian_7", 0, {"debian_version": "7.11\n"}),
]


@pytest.mark.rule("R21")
@pytest.mark.parametrize(
    ("name", "is_rpm", "files"), RELEASES, ids=[f"{name}-{n}" for n, (name, _, _) in enumerate(RELEASES)]
)
def test_a_linux_is_known_by_its_files(tmp_path: Path, name: str, is_rpm: object, files: dict[str, str]) -> None:
    said = detect(tmp_path, files)
    assert said == [name, str(is_rpm), "x86_64"]


def test_a_linux_that_says_nothing_is_unknown_and_one_that_lies_runs_nothing(tmp_path: Path) -> None:
    assert detect(tmp_path, {}) == ["unknown"]
    evil = "$(touch owned)`touch owned`; touch owned"
    detect(tmp_path, {"os-release": f'ID="{evil}"\nVERSION_ID="{evil}"\nPRETTY_NAME={evil}\n'})
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize(
    ("machine", "name"), [("i686", "i386"), ("amd64", "x86_64"), ("arm64", "aarch64"), ("ppc64le", "ppc64le")]
)
def test_an_architecture_has_the_references_name(tmp_path: Path, machine: str, name: str) -> None:
    assert detect(tmp_path, RELEASES[0][2], machine)[2] == name


def detect(folder: Path, files: dict[str, str], machine: str = "x86_64") -> list[str]:
    etc = folder / "etc"
    etc.mkdir(exist_ok=True)
    for name, content in files.items():
        (etc / name).write_text(content)
    body = scripts.detection().replace("/etc/", f"{etc}/").replace("/usr/lib/", f"{folder}/lib/")
    body += f"uname() {{ echo {machine}; }}\nplatform_detect || {{ echo unknown; exit; }}\n"
    body += 'printf "%s\\n" "$runningPlatform$majorVersion" "$isRPM" "$archType"\n'
    done = subprocess.run(["sh"], input=body, capture_output=True, text=True, check=True, cwd=folder)
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_manager_and_script_agree_on_whose_packages_serve_whom(tmp_path: Path) -> None:
    """A rebuild of Red Hat's system takes its packages, and any Linux the generic ones, asked either way."""
    for (name, is_rpm, files), has in itertools.product(RELEASES, ("RedHat_EL", "Linux")):
        if is_rpm != 1 or name.startswith("amzn"):
            continue
        major = name.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_")
        offered = f"RedHat_EL{major}" if has == "RedHat_EL" else "Linux"
        row = scripts.PackageRow(offered, "x86_64", "rpm", "12.1.0", "a" * 64, "agent.rpm")
        script = scripts.linux("12.0", SOURCE, [row], Activating(url="dsm://m:4120/"))
        etc = tmp_path / f"{name}-{has}"
        etc.mkdir(exist_ok=True)
        for file, content in files.items():
            (etc / file).write_text(content)
        alone = script.replace("/etc/", f"{etc}/").replace("/usr/lib/", f"{etc}/lib/")
        alone = alone.replace("\nmain\n)", '\nuname() { echo x86_64; }\nfind_package\nprintf "%s" "$url"\n)')
        done = subprocess.run(["sh"], input=alone, capture_output=True, text=True)
        assert (done.returncode == 0) == (offered in platforms.candidates(name)), (name, offered, done.stderr)
        if done.returncode == 0:
            assert f"/software/agent/{offered}/x86_64/12.1.0/agent.rpm?" in done.stdout
