# Which Linux is this? `platform_detect` sets, as the reference's scripts expect it:
#   runningPlatform, majorVersion   together the platform's name: Debian_ and 12, Ubuntu_ and 22.04, RedHat_EL and 8
#   archType                        x86_64, i386, aarch64, ppc64le, or what uname says
#   isRPM                           1 where packages are .rpm, 0 where they are .deb, empty where nobody knows
#   platform, linuxPlatform         the system's own name for itself, for people
# os-release is asked first; systems older than that file have others.

release_value() {
    sed -n "s/^$1=//p" "$2" 2>/dev/null | head -n 1 | sed "s/^[\"']//; s/[\"'][[:space:]]*\$//"
}

detect_from_os_release() {
    os_release=/etc/os-release
    [ -r "$os_release" ] || os_release=/usr/lib/os-release
    [ -r "$os_release" ] || return 1
    release_id=$(release_value ID "$os_release")
    release_version=$(release_value VERSION_ID "$os_release")
    release_like=" $(release_value ID_LIKE "$os_release") "
    [ -n "$release_id" ] || return 1
    linuxPlatform=$(release_value PRETTY_NAME "$os_release")
    majorVersion=${release_version%%.*}
    case $release_id in
        debian) runningPlatform=Debian_ isRPM=0 ;;
        ubuntu) runningPlatform=Ubuntu_ isRPM=0 majorVersion=$release_version ;;
        rhel) runningPlatform=RedHat_EL isRPM=1 ;;
        centos) runningPlatform=CentOS_ isRPM=1 ;;
        rocky) runningPlatform=Rocky_ isRPM=1 ;;
        almalinux) runningPlatform=AlmaLinux_ isRPM=1 ;;
        ol) runningPlatform=Oracle_OL isRPM=1 ;;
        cloudlinux) runningPlatform=CloudLinux_ isRPM=1 ;;
        miraclelinux | asianux) runningPlatform=Miracle_ isRPM=1 ;;
        sles | sled | sles_sap | sle_hpc | suse | opensuse | opensuse-leap) runningPlatform=SuSE_ isRPM=1 ;;
        amzn)
            runningPlatform=amzn isRPM=1
            # Amazon Linux 1 is numbered by its date: 2018.03.
            case $release_version in 201*.*) majorVersion=1 ;; esac
            ;;
        *)
            # A relative of a system that we know has its own name, and takes its relatives' kind of package.
            runningPlatform=${release_id}_
            case $release_like in
                *' debian '* | *' ubuntu '*) isRPM=0 ;;
                *' rhel '* | *' fedora '* | *' centos '* | *' suse '* | *' sles '*) isRPM=1 ;;
                *)
                    case $release_id in fedora) isRPM=1 ;; *) isRPM='' ;; esac
                    ;;
            esac
            ;;
    esac
}

first_number() {
    printf '%s\n' "$1" | sed -n 's/^[^0-9]*\([0-9][0-9]*\).*/\1/p'
}

detect_from_older_files() {
    if [ -r /etc/oracle-release ]; then
        linuxPlatform=$(head -n 1 /etc/oracle-release)
        runningPlatform=Oracle_OL isRPM=1
    elif [ -r /etc/redhat-release ]; then
        linuxPlatform=$(head -n 1 /etc/redhat-release)
        isRPM=1
        case $linuxPlatform in
            CentOS*) runningPlatform=CentOS_ ;;
            CloudLinux*) runningPlatform=CloudLinux_ ;;
            Asianux* | MIRACLE*) runningPlatform=Miracle_ ;;
            *Workstation*) runningPlatform=RedHatWorkstation_ ;;
            *) runningPlatform=RedHat_EL ;;
        esac
    elif [ -r /etc/SuSE-release ]; then
        linuxPlatform=$(head -n 1 /etc/SuSE-release)
        runningPlatform=SuSE_ isRPM=1
    elif [ -r /etc/system-release ] && grep -q '^Amazon' /etc/system-release; then
        linuxPlatform=$(head -n 1 /etc/system-release)
        runningPlatform=amzn majorVersion=1 isRPM=1
        return 0
    elif [ -r /etc/lsb-release ] && [ "$(release_value DISTRIB_ID /etc/lsb-release)" = Ubuntu ]; then
        linuxPlatform=$(release_value DISTRIB_DESCRIPTION /etc/lsb-release)
        majorVersion=$(release_value DISTRIB_RELEASE /etc/lsb-release)
        runningPlatform=Ubuntu_ isRPM=0
        return 0
    elif [ -r /etc/debian_version ]; then
        linuxPlatform="Debian $(head -n 1 /etc/debian_version)"
        runningPlatform=Debian_ isRPM=0
    else
        return 1
    fi
    majorVersion=$(first_number "$linuxPlatform")
}

# shellcheck disable=SC2034  # read by whoever sources this file
platform_detect() {
    platform='' linuxPlatform='' runningPlatform='' majorVersion='' isRPM=''
    archType=$(uname -m)
    case $archType in
        i?86) archType=i386 ;;
        amd64) archType=x86_64 ;;
        arm64) archType=aarch64 ;;
    esac
    detect_from_os_release || detect_from_older_files || return 1
    platform=$linuxPlatform
}
