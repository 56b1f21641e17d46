# What curl must know, and the reason for its name in this script: with TLS 1.2 enforced, an older one is refused.
check_curl() {
    if curl --tlsv1.2 --version >/dev/null 2>&1; then
        return 0
    fi
    version=$(curl --version 2>/dev/null | sed -n '1s/^curl \([0-9.]*\).*/\1/p')
    fail 12 "curl ${version:-of an unknown version} is too old: it has no option --tlsv1.2, and the manager accepts $FLOOR and newer only; nothing was done." \
        'This script needs curl 7.34.0 or newer: upgrade curl, then run it again.' \
        'Where that cannot be, use the workaround: on the manager, plimsoll deploy-script linux --workaround rpm (or dpkg) --base-url URL'
}

# The first package for one of these platforms, in their order; sets AGENT_VERSION, sha256 and url.
choose() {
    for wanted in "$@"; do
        row=$(
            printf '%s\n' "$PACKAGES" | while read -r for_platform for_arch for_format rest; do
                if [ "$for_platform $for_arch $for_format" = "$wanted $archType $format" ]; then
                    printf '%s %s\n' "$wanted" "$rest"
                    break
                fi
            done
        )
        if [ -n "$row" ]; then
            # shellcheck disable=SC2086
            set -- $row
            AGENT_VERSION=$2 sha256=$3
            url="$MANAGER_URL/software/agent/$1/$archType/$2/$4?tenantID="
            return 0
        fi
    done
    return 1
}

find_package() {
    platform_detect ||
        fail 13 'this Linux does not say what it is (no os-release, and none of the older files); nothing was done.' 'Use the workaround with a package that fits: plimsoll deploy-script linux --workaround rpm (or dpkg) --base-url URL'
    case $isRPM in
        1) format=rpm ;;
        0) format=deb ;;
        *) if command -v dpkg >/dev/null 2>&1; then format=deb; else format=rpm; fi ;;
    esac
    relative=
    case $runningPlatform in
        CentOS_ | Rocky_ | AlmaLinux_ | Oracle_OL | CloudLinux_ | Miracle_ | RedHatWorkstation_) relative=RedHat_EL$majorVersion ;;
    esac
    choose "$runningPlatform$majorVersion" ${relative:+"$relative"} Linux ||
        fail 14 "the manager has no agent package (.$format) for $runningPlatform$majorVersion $archType (${linuxPlatform:-unknown}); nothing was done." \
            'Import one on the manager (plimsoll software import), and make a new script.'
    say "This is $runningPlatform$majorVersion $archType; downloading agent $AGENT_VERSION from $MANAGER_URL"
}

trust() {
    case $VERIFY in
        ca)
            printf '%s\n' "$MANAGER_CA" >"$work/ca.pem"
            # The system's own authorities do not count beside it.
            mkdir "$work/none"
            set -- --cacert "$work/ca.pem" --capath "$work/none"
            ;;
        none)
            say 'WARNING: THE CERTIFICATE OF THE MANAGER IS NOT CHECKED, as whoever made this script wanted.'
            say 'WARNING: the package is checked by its digest, which stands in this script.'
            set -- --insecure
            ;;
        *) set -- ;;
    esac
    download "$@"
}

download() {
    package=$work/agent.$format
    fetch "$package" "$@" --tlsv1.2 --proto '=https' --speed-limit 1 --speed-time 120 -H 'Agent-Version-Control: on' "$url"
    [ "$result" -eq 0 ] || explain "$result"
    case $status in
        200) ;;
        404) fail 26 "the manager has this script's package no longer (HTTP $status); nothing was installed." "$(plain <"$package")" 'Make a new script on the manager and run that.' ;;
        409) fail 27 'the manager would not accept this agent, so it was not downloaded; nothing was installed.' "$(plain <"$package")" ;;
        429 | 503) fail 28 "the manager is busy (HTTP $status); nothing was installed." "$(plain <"$package")" 'Run this script again in some minutes.' ;;
        *) fail 29 "the manager answered with HTTP $status; nothing was installed." "$(plain <"$package")" "Is $MANAGER_URL a Plimsoll manager of this release?" ;;
    esac
}

explain() {
    library=$(curl --version 2>/dev/null | sed -n '1s/^\(curl [0-9.]*\) *([^)]*) */\1, /p' | cut -c 1-160)
    kept='nothing was installed.'
    case $1 in
        2) fail 22 "curl does not know an option that this script needs ($said); $kept" 'This script needs curl 7.34.0 or newer: upgrade curl, or use the workaround (plimsoll deploy-script linux --workaround rpm or dpkg).' ;;
        5) fail 23 "the name of the proxy is not known ($said); $kept" 'Correct https_proxy, or unset it.' ;;
        6) fail 23 "the name in $MANAGER_URL is not known to this computer ($said); $kept" 'Correct its DNS or /etc/hosts, or make a script with another name: --manager NAME.' ;;
        7) fail 24 "there is no way to $MANAGER_URL ($said); $kept" 'Is the manager running? Does a firewall let this computer reach that port?' ;;
        28) fail 25 "$MANAGER_URL did not answer in time ($said); $kept" 'Does a firewall drop packets on the way? Run this script again.' ;;
        35) fail 21 "the TLS handshake was refused ($said); $kept" "The manager accepts $FLOOR and newer; here is $library." 'Upgrade curl with its TLS library, use the workaround (--workaround rpm or dpkg), or have the floor of the GUI port lowered.' ;;
        51 | 60) fail 20 "the certificate of the manager was not accepted ($said); $kept" "$(distrust)" "Is the clock of this computer right? It says $(date -u '+%Y-%m-%d %H:%M UTC')." ;;
        77) fail 20 "the CA in this script could not be used ($said); $kept" 'Make a new script on the manager.' ;;
        18 | 52 | 55 | 56) fail 25 "the connection to $MANAGER_URL broke ($said); $kept" 'Run this script again.' ;;
        23) fail 15 "the package could not be written to $work ($said); $kept" 'Make room there, or name another folder in TMPDIR.' ;;
        *) fail 29 "curl ended with status $1 ($said); $kept" 'The manual of curl says what that status means.' ;;
    esac
}

distrust() {
    case $VERIFY in
        ca) printf '%s' 'This script trusts the CA of the manager that made it, and no other. Was it made by this manager, for this name? Does something on the way open TLS? Else make a new script.' ;;
        *) printf '%s' 'This script trusts what this computer trusts. Install the CA that issued the certificate, or make a script that carries it: --ca-file FILE.' ;;
    esac
}

main() {
    prepare
    check_curl
    find_package
    trust
    check_digest "$package" "$sha256" 'It was damaged or changed on the way, or on the manager: tell its administrator.'
    say 'The package is the one that this script was made for (SHA-256).'
    if [ "$format" = deb ]; then install_deb "$package"; else install_rpm "$package"; fi
    activate
}

main
