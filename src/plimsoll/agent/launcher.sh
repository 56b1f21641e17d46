#!/bin/sh
# The agent's launcher: starts the release that PREFIX/current names, and leaves a new one that does not prove itself.
#
#     launcher.sh PREFIX HOME
#
# It belongs to no release, so a broken one cannot break it. What it and the agents say to each other are files:
#
#   PREFIX/versions/RELEASE/bin/python3   a release with all it needs; it works wherever the folder lies
#   PREFIX/current                        a link to versions/RELEASE: what is started
#   PREFIX/trial                          to=, from=, seconds=: `to` has that long until a heartbeat of it is accepted.
#                                         The agent writes it before it switches, and removes it once it is proved
#   PREFIX/trial.starts                   how often `to` was started on trial
#   PREFIX/fallback                       the trial that failed, with reason=: the agent reports and removes it
#
# Whoever renames or removes PREFIX/trial first has decided, so the two never decide differently. A power cut between
# any two steps leaves a state that the next start goes on from. An agent that ends with 75 wants to be started anew;
# with any other status the launcher ends too, for the service manager to judge, except on trial.
set -u

RESTART=75
MOST_STARTS=3
# While the former release cannot reach the manager either, the new one is not to blame: so many windows more.
MOST_WINDOWS=6

if [ $# -ne 2 ]; then
    echo "usage: $0 PREFIX HOME" >&2
    exit 2
fi
prefix=$1
home=$2
trial=$prefix/trial
starts=$prefix/trial.starts
fallback=$prefix/fallback
child=
stopping=

say() {
    printf 'plimsoll launcher: %s\n' "$1" >&2
}

field() {
    sed -n "s/^$2=//p" "$1" 2>/dev/null | head -n 1
}

keep() {
    printf '%s\n' "$2" >"$1.new" && mv -f "$1.new" "$1"
}

runs() {
    [ -n "$1" ] && [ -x "$prefix/versions/$1/bin/python3" ]
}

pass_on() {
    stopping=1
    [ -z "$child" ] || kill -TERM "$child" 2>/dev/null
}

# A signal ends `wait` early, with the child still there.
wait_for_child() {
    while :; do
        wait "$child"
        code=$?
        kill -0 "$child" 2>/dev/null || return "$code"
    done
}

stop_child() {
    kill -TERM "$child" 2>/dev/null
    left=6
    while [ "$left" -gt 0 ] && kill -0 "$child" 2>/dev/null; do
        sleep 1
        left=$((left - 1))
    done
    kill -KILL "$child" 2>/dev/null
}

# The former release is current again once this returns; killed in between, the next start comes here again.
go_back() {
    former=$(field "$fallback" from)
    rm -f "$prefix/current.new"
    if ! ln -s "versions/$former" "$prefix/current.new" || ! mv -fT "$prefix/current.new" "$prefix/current"; then
        say "cannot switch $prefix/current to $former; tries again"
        sleep 1
        return 1
    fi
    rm -f "$starts"
    sync
}

# False where the new release proved itself at the last moment.
give_up() {
    mv "$trial" "$fallback" 2>/dev/null || return 1
    say "$1; goes back to $from"
    printf 'reason=%s\n' "$1" >>"$fallback"
    go_back
}

reaches_manager() {
    "$prefix/versions/$1/bin/python3" -P -m plimsoll.agent.probe "$home" >/dev/null 2>&1
}

watch() {
    waited=0
    windows=0
    while [ -z "$stopping" ] && [ -e "$trial" ] && kill -0 "$child" 2>/dev/null; do
        if [ "$waited" -ge "$seconds" ]; then
            if [ "$windows" -lt "$MOST_WINDOWS" ] && ! reaches_manager "$from"; then
                windows=$((windows + 1))
                waited=0
                say "neither $to nor $from reaches the manager; $to gets another $seconds s"
            elif give_up "no heartbeat of $to was accepted in $seconds s"; then
                stop_child
            fi
        fi
        sleep 1
        waited=$((waited + 1))
    done
}

trap pass_on TERM INT

while :; do
    version=$(readlink "$prefix/current") || version=
    version=${version#versions/}
    if [ -e "$fallback" ] && [ "$(field "$fallback" to)" = "$version" ] && runs "$(field "$fallback" from)"; then
        go_back
        continue
    fi
    trying=
    if [ -e "$trial" ]; then
        to=$(field "$trial" to)
        from=$(field "$trial" from)
        seconds=$(field "$trial" seconds)
        case $seconds in '' | *[!0-9]*) seconds=600 ;; esac
        if [ "$to" = "$version" ] && runs "$from"; then
            count=$(cat "$starts" 2>/dev/null) || count=0
            case $count in '' | *[!0-9]*) count=0 ;; esac
            if [ "$count" -ge "$MOST_STARTS" ]; then
                give_up "$to ended $count times before a heartbeat of it was accepted"
                continue
            fi
            if ! runs "$to"; then
                give_up "$to has no interpreter that can be started"
                continue
            fi
            keep "$starts" $((count + 1))
            trying=1
        fi
    fi
    if ! runs "$version"; then
        say "$prefix/current names no release that can be started; install the agent's package again"
        exit 1
    fi
    PLIMSOLL_LAUNCHER=$$ PLIMSOLL_PREFIX=$prefix PLIMSOLL_VERSION=$version \
        "$prefix/versions/$version/bin/python3" -P -m plimsoll.agent "$home" &
    child=$!
    [ -z "$stopping" ] || kill -TERM "$child" 2>/dev/null
    [ -z "$trying" ] || watch
    wait_for_child
    code=$?
    child=
    if [ -n "$stopping" ]; then
        # A service that is stopped says nothing about the release.
        [ -z "$trying" ] || [ ! -e "$trial" ] || keep "$starts" "$count"
        exit "$code"
    fi
    if [ "$code" -ne "$RESTART" ]; then
        [ -n "$trying" ] || exit "$code"
        say "$version ended with status $code on trial"
        sleep 1
    fi
done
