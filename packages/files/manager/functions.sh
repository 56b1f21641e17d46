user=plimsoll
state=/opt/plimsoll
unit=plimsoll-manager.service

systemd_runs() {
    [ -d /run/systemd/system ] && command -v systemctl >/dev/null 2>&1
}
