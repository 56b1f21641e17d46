#!/bin/sh
# plimsoll and dsm_c for people and scripts. What writes into the manager's home runs as its owner; what only asks a
# running manager runs as who called it, and may read that user's files.
set -u
program=/opt/plimsoll-manager/bin/$(basename -- "$0")
user=plimsoll
PLIMSOLL_HOME=${PLIMSOLL_HOME:-/opt/plimsoll}
export PLIMSOLL_HOME

as_owner=no
case "${1:-} ${2:-}" in
    "manager init" | "manager run" | "manager upgrade") as_owner=yes ;;
    "agent "* | "scan "* | "demo "* | "simulate "* | "version "*) ;;
    *) [ -S "$PLIMSOLL_HOME/run/manager.sock" ] || as_owner=yes ;;
esac
if [ "$as_owner" = yes ] && [ "$(id -u)" = 0 ] && [ -z "${PLIMSOLL_URL:-}" ] && id "$user" >/dev/null 2>&1; then
    cd /
    exec setpriv --reuid="$(id -u "$user")" --regid="$(id -g "$user")" --clear-groups -- "$program" "$@"
fi
exec "$program" "$@"
