# For hosts whose curl knows no --tlsv1.2: an agent's package from a web server of your own, over plain HTTP if need be.
download() {
    package=$work/agent.$FORMAT
    say "Downloading $BASE_URL/$FILE"
    # No option that curl 7.19 does not have.
    fetch "$package" "$BASE_URL/$FILE"
    kept='nothing was installed.'
    case $result in
        0) ;;
        6) fail 23 "the name in $BASE_URL is not known to this computer ($said); $kept" 'Correct its DNS or /etc/hosts.' ;;
        7) fail 24 "there is no way to $BASE_URL ($said); $kept" 'Is the web server running? Does a firewall let this computer reach it?' ;;
        28) fail 25 "$BASE_URL did not answer in time ($said); $kept" 'Run this script again.' ;;
        35 | 51 | 60) fail 21 "the TLS of the web server and this curl do not meet ($said); $kept" 'Offer the package over plain HTTP: it is checked by its digest.' ;;
        *) fail 29 "curl ended with status $result ($said); $kept" 'The manual of curl says what that status means.' ;;
    esac
    [ "$status" = 200 ] || fail 26 "the web server answered $BASE_URL/$FILE with HTTP $status; $kept" "Put the package there under the name $FILE: plimsoll software export writes it."
    # The rule of this workaround: an empty file ends it with 1.
    [ -s "$package" ] || fail 1 "the file at $BASE_URL/$FILE is empty; $kept" 'Put the package there again, and look that it is whole.'
    say "Downloaded $(wc -c <"$package" | tr -d ' ') bytes"
}

main() {
    prepare
    download
    if [ -n "$SHA256" ]; then
        check_digest "$package" "$SHA256" "This script is for agent $AGENT_VERSION for $PLATFORM. Put that package there, or make a new script."
        say 'The package is the one that this script was made for (SHA-256).'
    else
        say 'WARNING: THE PACKAGE IS NOT CHECKED: whoever made this script left its digest out.'
    fi
    case $FORMAT in
        deb) install_deb "$package" ;;
        *) install_rpm "$package" ;;
    esac
    activate
}

main
