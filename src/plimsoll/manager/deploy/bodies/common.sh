say() {
    printf 'plimsoll-deploy: %s\n' "$1"
}

# fail CODE LINE…: says what went wrong, what there is of it, and what to do; the codes are in the manual.
fail() {
    exit_code=$1
    shift
    for line in "$@"; do
        [ -z "$line" ] || printf 'plimsoll-deploy: %s\n' "$line" >&2
    done
    exit "$exit_code"
}

# One line of something foreign, fit for a terminal.
plain() {
    tr -cd '[:print:]\n' | sed -n '/./{s/^curl: //;p;q;}' | cut -c 1-400
}

work=
# shellcheck disable=SC2317  # a trap calls it
clean() {
    [ -z "$work" ] || rm -rf "$work"
}

prepare() {
    trap clean EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    umask 077
    [ "$(id -u)" -eq 0 ] ||
        fail 10 'this script installs software and must run as root; nothing was done.' 'Run it with sudo, or as root.'
    command -v curl >/dev/null 2>&1 ||
        fail 11 'curl is not installed, and this script downloads with it; nothing was done.' 'Install curl, then run this script again.'
    work=$(mktemp -d "${TMPDIR:-/tmp}/plimsoll.XXXXXX") ||
        fail 15 "no temporary folder could be made in ${TMPDIR:-/tmp}; nothing was done." 'Make room there, or name another folder in TMPDIR.'
}

# fetch FILE OPTION… URL: sets status (HTTP), result (curl's) and said (its words). What passes by itself is tried again:
# a server that is busy, a connection that broke. Everything else is told at once.
fetch() {
    into=$1
    shift
    tries=4
    while :; do
        status=$(curl --silent --show-error --connect-timeout 30 --output "$into" --write-out '%{http_code}' "$@" 2>"$work/said")
        result=$?
        said=$(plain <"$work/said")
        tries=$((tries - 1))
        case "$result $status" in
            '0 429' | '0 503' | '18 '* | '52 '* | '55 '* | '56 '*) [ "$tries" -gt 0 ] || return 0 ;;
            *) return 0 ;;
        esac
        sleep "${PLIMSOLL_RETRY_SECONDS:-10}"
    done
}

digest_of() {
    if command -v sha256sum >/dev/null 2>&1; then
        sha256sum <"$1"
    elif command -v shasum >/dev/null 2>&1; then
        shasum -a 256 <"$1"
    elif command -v openssl >/dev/null 2>&1; then
        openssl dgst -sha256 -r <"$1"
    fi | sed 's/[^0-9a-f].*//'
}

# check_digest FILE SHA256
check_digest() {
    found=$(digest_of "$1")
    [ -n "$found" ] ||
        fail 30 'neither sha256sum nor shasum nor openssl is here, so the package cannot be checked; nothing was installed.' 'Install one of them, then run this script again.'
    [ "$found" = "$2" ] ||
        fail 31 'the package is not the one that this script was made for; it was deleted, and nothing was installed.' "Its SHA-256 is $found, expected is $2." "$3"
}

install_deb() {
    name=$(dpkg-deb -f "$1" Package 2>/dev/null)
    version=$(dpkg-deb -f "$1" Version 2>/dev/null)
    [ -n "$name" ] ||
        fail 40 'the downloaded file is no Debian package; nothing was installed.' 'Import a package that fits this system on the manager, and make a new script.'
    # shellcheck disable=SC2016
    if [ "$(dpkg-query -W -f '${Status} ${Version}' "$name" 2>/dev/null)" = "install ok installed $version" ]; then
        say "$name $version is installed already."
        return 0
    fi
    say "Installing $name $version"
    DEBIAN_FRONTEND=noninteractive dpkg --force-confold -i "$1" </dev/null ||
        fail 40 "dpkg could not install $name $version (above is why)." 'What it says is missing must be installed first; then run this script again.'
}

install_rpm() {
    name=$(rpm -qp --qf '%{NAME}-%{VERSION}-%{RELEASE}.%{ARCH}' "$1" 2>/dev/null)
    [ -n "$name" ] ||
        fail 40 'the downloaded file is no RPM package; nothing was installed.' 'Import a package that fits this system on the manager, and make a new script.'
    if rpm -q "$name" >/dev/null 2>&1; then
        say "$name is installed already."
        return 0
    fi
    say "Installing $name"
    # An older version of it gives way, as in an upgrade.
    if rpm -q "$(rpm -qp --qf '%{NAME}' "$1" 2>/dev/null)" >/dev/null 2>&1; then how=-Uhv; else how=-ihv; fi
    rpm "$how" "$1" </dev/null ||
        fail 40 "rpm could not install $name (above is why)." 'What it says is missing must be installed first; then run this script again.'
}

find_control() {
    for control in /opt/ds_agent/dsa_control /usr/bin/dsa_control /usr/local/bin/dsa_control; do
        [ ! -x "$control" ] || return 0
    done
    fail 41 'the package is installed, but it brought no dsa_control, so this computer was not activated.' 'Is it the package of an agent? Import the right one on the manager, and make a new script.'
}

# The token goes in by standard input where the agent reads it there: a command line can be seen by every user.
call_control() {
    case $AGENT_VERSION in
        [0-9].* | 10.* | 11.*) "$control" "$@" "token:$TOKEN" ;;
        *) printf '%s\n' "$TOKEN" | "$control" "$@" token:- ;;
    esac
}

activate() {
    if [ -z "$TOKEN" ]; then
        say 'Installed. This script activates nothing; do it with: dsa_control -a dsm://MANAGER:4120/ "token:TOKEN"'
        return 0
    fi
    find_control
    set -- -a "$ACTIVATION_URL"
    [ -z "$POLICY" ] || set -- "$@" "policyid:$POLICY"
    [ -z "$GROUP" ] || set -- "$@" "groupid:$GROUP"
    [ -z "$RELAY_GROUP" ] || set -- "$@" "relaygroupid:$RELAY_GROUP"
    [ -z "$DISPLAY_NAME" ] || set -- "$@" "displayname:$DISPLAY_NAME"
    [ "$RELAY" != yes ] || set -- "$@" relay:yes
    say "Activating at $ACTIVATION_URL"
    tries=5
    while :; do
        call_control "$@"
        result=$?
        tries=$((tries - 1))
        # 7: not reached, or busy. Everything else is an answer.
        if [ "$result" -ne 7 ] || [ "$tries" -eq 0 ]; then break; fi
        sleep "${PLIMSOLL_RETRY_SECONDS:-10}"
    done
    case $result in
        0) ;;
        7) fail 51 "the agent is installed, but $ACTIVATION_URL was not reached, so this computer was not activated." 'Open the way to that port, then run this script again.' ;;
        *) fail 50 'the agent is installed, but this computer was not activated (above is why).' 'Where the token has expired or is used up, make a new script on the manager and run that.' ;;
    esac
    begin
}

begin() {
    if [ -d /run/systemd/system ] && command -v systemctl >/dev/null 2>&1; then
        systemctl enable --now plimsoll-agent >/dev/null 2>&1 ||
            fail 52 'this computer is activated, but its agent could not be started.' 'See: systemctl status plimsoll-agent'
    else
        say 'There is no systemd here: have your own service manager run plimsoll-agent.'
    fi
    tries=5
    until "$control" -m; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] ||
            fail 53 'this computer is activated, but its first heartbeat was not accepted (above is why).' 'See: dsa_control -m'
        sleep "${PLIMSOLL_RETRY_SECONDS:-10}"
    done
    say 'Done: installed, activated, and the manager has its first heartbeat.'
}
