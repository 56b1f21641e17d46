# deb: upgrade NEW, remove, purge; rpm: 0 for the last removal, 1 for an upgrade.
case "${1:-}" in
    remove | 0)
        # dpkg takes an empty /opt away, which the system brought.
        mkdir -p /opt
        ! systemd_runs || systemctl daemon-reload
        ;;
    purge)
        # The store, the CA and every secret: a purge is meant to leave nothing.
        rm -rf "$state" /etc/plimsoll-manager
        if getent passwd "$user" >/dev/null; then
            userdel "$user" || echo "plimsoll-manager: the user $user is still in use and stays" >&2
        fi
        ! getent group "$user" >/dev/null || groupdel "$user" || true
        mkdir -p /opt
        ;;
esac
