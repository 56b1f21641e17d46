#!/bin/sh
# plimsoll-agent and dsa_control for people and scripts. Root becomes the agent's own user before anything of the
# version in use is run: upgrades put versions there that root did not install, and what is written belongs to the agent.
set -u
program=/opt/plimsoll-agent/current/bin/$(basename -- "$0")
home=${PLIMSOLL_AGENT_HOME:-/var/opt/plimsoll-agent}
user=plimsoll-agent

if [ "${1:-}" = run ] && [ $# -eq 1 ]; then
    # By hand as by the service: under the launcher, so that upgrades work.
    set -- /opt/plimsoll-agent "$home"
    program=/opt/plimsoll-agent/launcher.sh
fi
[ "$(id -u)" = 0 ] || exec "$program" "$@"

if ! uid=$(id -u "$user") || ! gid=$(id -g "$user"); then
    echo "$(basename -- "$0"): the user $user is missing; install the package plimsoll-agent again" >&2
    exit 1
fi
cd /
[ "$program" != /opt/plimsoll-agent/launcher.sh ] ||
    exec setpriv --reuid="$uid" --regid="$gid" --clear-groups -- "$program" "$@"

activated=no
[ ! -e "$home/agent.json" ] || activated=yes
setpriv --reuid="$uid" --regid="$gid" --clear-groups -- "$program" "$@"
status=$?
# A computer that has just become one of the fleet begins to heartbeat.
if [ "$activated" = no ] && [ -e "$home/agent.json" ] && [ -d /run/systemd/system ]; then
    systemctl start plimsoll-agent.service || status=1
fi
exit "$status"
