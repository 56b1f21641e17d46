user=plimsoll-agent
code=/opt/plimsoll-agent
state=/var/opt/plimsoll-agent
unit=plimsoll-agent.service
version=@VERSION@

systemd_runs() {
    [ -d /run/systemd/system ] && command -v systemctl >/dev/null 2>&1
}

# Points `current` to a version, in one step. The agent owns the link, since it upgrades itself without being root.
switch_to() {
    rm -rf "$code/.current.package"
    ln -s "versions/$1" "$code/.current.package"
    chown -h "$user:$user" "$code/.current.package"
    mv -fT "$code/.current.package" "$code/current"
}

# The version in use, where it can run; nothing else is worth keeping.
in_use() {
    [ ! -x "$code/current/bin/plimsoll-agent" ] || basename -- "$(readlink -- "$code/current")"
}

newest() {
    printf '%s\n' "$@" | sort -V | tail -n 1
}
