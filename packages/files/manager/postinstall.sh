# deb: configure [former version]; rpm: 1 for a first installation, 2 for an upgrade.
case "${1:-}" in
    configure | 1 | 2) ;;
    *) exit 0 ;;
esac

getent group "$user" >/dev/null || groupadd --system "$user"
getent passwd "$user" >/dev/null || useradd --system --gid "$user" --home-dir "$state" --no-create-home \
    --shell /usr/sbin/nologin --comment "Plimsoll manager" "$user"
mkdir -p "$state"
chown "$user:$user" "$state"
chmod 0700 "$state"

if command -v systemctl >/dev/null 2>&1; then
    systemctl enable "$unit" >/dev/null 2>&1 || echo "plimsoll-manager: $unit could not be enabled" >&2
fi
if [ ! -e "$state/configuration.properties" ]; then
    echo "plimsoll-manager: make a manager with: plimsoll manager init --name THIS.HOST; then: systemctl start plimsoll-manager"
elif systemd_runs; then
    systemctl daemon-reload
    systemctl stop "$unit"
    # Keeps every floor, and the former database in backup/; where it fails the former one stands, and it says why.
    plimsoll manager upgrade
    systemctl start "$unit" || echo "plimsoll-manager: $unit did not start; see: journalctl -u $unit" >&2
else
    echo "plimsoll-manager: stop the manager, run: plimsoll manager upgrade, and start it again"
fi
