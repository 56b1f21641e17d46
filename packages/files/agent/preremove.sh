# deb: remove, upgrade …; rpm: 0 for the last removal, 1 for an upgrade.
case "${1:-}" in
    remove | 0) ;;
    *) exit 0 ;;
esac
if systemd_runs; then
    systemctl stop "$unit" || true
fi
if command -v systemctl >/dev/null 2>&1; then
    systemctl disable "$unit" >/dev/null 2>&1 || true
fi
