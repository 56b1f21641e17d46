# deb: upgrade NEW, remove, purge; rpm: 0 for the last removal, 1 for an upgrade.
case "${1:-}" in
    upgrade)
        # The former files go next: from here on `current` must not need them.
        if [ "$(in_use)" = "$version" ] && [ -x "$code/versions/${2%%-*}/bin/plimsoll-agent" ]; then
            switch_to "${2%%-*}"
        fi
        ;;
    remove | 0)
        # Versions that upgrades brought are the package's too.
        rm -rf "$code/current" "$code/versions" "$code/.current.package"
        rmdir "$code" 2>/dev/null || true
        # dpkg takes an empty /opt away, which the system brought.
        mkdir -p /opt
        ! systemd_runs || systemctl daemon-reload
        ;;
    purge)
        # The key and the identity of this computer: its certificate is of no use any more.
        rm -rf "$state" /etc/plimsoll-agent
        if getent passwd "$user" >/dev/null; then
            userdel "$user" || echo "plimsoll-agent: the user $user is still in use and stays" >&2
        fi
        ! getent group "$user" >/dev/null || groupdel "$user" || true
        mkdir -p /opt
        ;;
esac
