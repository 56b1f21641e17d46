# deb: configure [former version]; rpm: 1 for a first installation, 2 for an upgrade.
case "${1:-}" in
    configure | 1 | 2) ;;
    *) exit 0 ;;
esac

getent group "$user" >/dev/null || groupadd --system "$user"
getent passwd "$user" >/dev/null || useradd --system --gid "$user" --home-dir "$state" --no-create-home \
    --shell /usr/sbin/nologin --comment "Plimsoll agent" "$user"

mkdir -p "$state" "$code/versions"
chown "$user:$user" "$state"
chmod 0700 "$state"
# The agent adds versions and switches between them; what this package brought stays root's (the sticky bit).
chown "root:$user" "$code" "$code/versions"
chmod 1775 "$code" "$code/versions"

used=$(in_use)
if [ -n "$used" ] && [ "$used" != "$version" ] && [ "$(newest "$used" "$version")" = "$used" ]; then
    echo "plimsoll-agent: version $used, which a manager's upgrade brought, is newer than $version and stays in use"
else
    switch_to "$version"
fi

if command -v systemctl >/dev/null 2>&1; then
    systemctl enable "$unit" >/dev/null 2>&1 || echo "plimsoll-agent: $unit could not be enabled" >&2
fi
if systemd_runs; then
    systemctl daemon-reload
    systemctl restart "$unit" || echo "plimsoll-agent: $unit did not start; see: journalctl -u $unit" >&2
fi
[ -e "$state/agent.json" ] || echo "plimsoll-agent: activate this computer with: plimsoll-agent activate --manager dsm://HOST:4120 --token TOKEN"
