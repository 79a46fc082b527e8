#!/bin/sh
# Install, upgrade or remove the edge agent on a machine with systemd and Python 3.11 (Debian 12: python3, python3-venv).
#
#   install.sh --package dyncal-0.1.0-py3-none-any.whl     # or a name that pip finds, as dyncal==0.1.0
#   install.sh --uninstall            # the program goes; settings, certificates and spool stay
#   install.sh --uninstall --purge    # these too, and the user
#
# It can be run again at any time: what is there stays as it is, and a version that does not start is not switched to.
# Each version has a directory of its own below /opt/dyncal-edge; `current` points at the one that runs, and the one
# before it is kept, to go back to: ln -sfnT "$(readlink previous)" current, and restart.
set -eu

usage() { sed -n '2,11s/^# \{0,1\}//p' "$0"; }
fail() { echo "install.sh: $*" >&2; exit 1; }
say() { echo "install.sh: $*"; }

package='' extra=edge root='' action=install purge=no python=python3
while [ $# -gt 0 ]; do
    case "$1" in
        --package | --extra | --root | --python)
            [ $# -ge 2 ] || fail "$1 needs a value"
            case "$1" in
                --package) package=$2 ;;
                --extra) extra=$2 ;;        # edge-fast has numba
                --root) root=${2%/} ;;      # stage below this directory: nothing of the running system is touched
                --python) python=$2 ;;
            esac
            shift 2 ;;
        --uninstall) action=uninstall; shift ;;
        --purge) purge=yes; shift ;;
        -h | --help) usage; exit 0 ;;
        *) usage >&2; fail "unknown option: $1" ;;
    esac
done

here=$(cd "$(dirname "$0")" && pwd)
opt="$root/opt/dyncal-edge" etc="$root/etc/dyncal" state="$root/var/lib/dyncal-edge"
unit=dyncal-edge.service unit_dir="$root/etc/systemd/system" user=dyncal-edge

live() { [ -z "$root" ]; }
owned() { if live; then chown "$@"; fi; }
if live && [ "$(id -u)" -ne 0 ]; then fail "must be root"; fi

uninstall() {
    if live && [ -e "$unit_dir/$unit" ]; then systemctl disable --now "$unit"; fi
    rm -f "$unit_dir/$unit"
    rm -rf "$opt"
    if live; then systemctl daemon-reload; fi
    if [ "$purge" = yes ]; then
        rm -rf "$state" "$etc/edge" "$etc/edge.toml" "$etc/edge.toml.new" "$unit_dir/$unit.d"
        rmdir "$etc" 2>/dev/null || true
        if live && getent passwd "$user" >/dev/null; then userdel "$user"; fi
        say "removed, with settings, certificates and spool"
    else
        say "removed; settings and certificates stay in $etc, spool and coefficient sets in $state"
    fi
}

add_user() {
    live || return 0
    getent passwd "$user" >/dev/null ||
        useradd --system --user-group --home-dir /var/lib/dyncal-edge --no-create-home --shell /usr/sbin/nologin "$user"
}

directories() {
    install -d -m 0755 "$opt" "$etc" "$unit_dir"
    install -d -m 0700 "$etc/edge"
    install -d -m 0700 "$state" "$state/keys" "$state/keys/trusted"
    owned "$user:$user" "$state" "$state/keys" "$state/keys/trusted"
}

# Make the environment of the new version, beside the one that runs.
build() {
    [ -n "$package" ] || fail "--package says what to install: a wheel, or what pip shall look for"
    "$python" -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' ||
        fail "$python must be 3.11 or newer, with venv (Debian: apt-get install python3 python3-venv)"
    python=$(command -v "$python") # pip wants a path
    number=1
    while [ -e "$opt/release-$number" ]; do number=$((number + 1)); done
    new="$opt/release-$number"
    trap 'rm -rf "$new"' EXIT
    trap 'exit 130' INT # a shell that a signal ends runs no trap of EXIT
    trap 'exit 143' HUP TERM
    pip="$new/bin/python -m pip"
    if "$python" -m pip --python "$python" --version >/dev/null 2>&1; then
        "$python" -m venv --without-pip "$new"
        pip="$python -m pip --python $new/bin/python"
    else
        "$python" -m venv "$new"
    fi
    set --
    if [ -f "$here/../constraints.txt" ]; then set -- --constraint "$here/../constraints.txt"; fi
    case "$package" in # extras stand before a version, and after a file
        *.whl | */*) wanted="${package}[$extra]" ;;
        *) name=${package%%[!A-Za-z0-9._-]*} wanted="${name}[$extra]${package#"$name"}" ;;
    esac
    $pip --quiet --disable-pip-version-check install "$@" "$wanted" ||
        fail "$wanted could not be installed (above: why); nothing has changed"
    "$new/bin/python" -c 'import edge_agent.service, edge_agent.readers.opcua' || fail "the new version does not start"
    if [ "$extra" = edge-fast ]; then "$new/bin/dyncal" kernels; fi
}

# Let `current` point at the new version, in one step.
switch() {
    trap - EXIT INT HUP TERM
    if [ -L "$opt/current" ]; then ln -sfnT "$(readlink "$opt/current")" "$opt/previous"; fi
    ln -sfnT "release-$number" "$opt/current.new"
    mv -fT "$opt/current.new" "$opt/current"
    for old in "$opt"/release-*; do
        case "${old##*/}" in
            "release-$number" | "$(readlink "$opt/previous" 2>/dev/null || true)") ;;
            *) rm -rf "$old" ;;
        esac
    done
}

settings() {
    install -m 0644 "$here/edge.toml" "$opt/edge.toml.example"
    if [ ! -e "$etc/edge.toml" ]; then
        # Whole or not at all: what is there is taken for the plant's own from then on.
        install -m 0640 "$here/edge.toml" "$etc/edge.toml.new"
        owned "root:$user" "$etc/edge.toml.new"
        mv -fT "$etc/edge.toml.new" "$etc/edge.toml"
    fi
    "$new/bin/dyncal" config show edge --config "$etc/edge.toml" >/dev/null ||
        fail "this version does not take $etc/edge.toml (above: why); nothing has changed"
}

service() {
    install -m 0644 "$here/../systemd/$unit" "$unit_dir/$unit"
    live || return 0
    systemctl daemon-reload
    systemctl enable --quiet "$unit"
    for file in ca.pem cert.pem key.pem; do
        if [ ! -e "$etc/edge/$file" ]; then
            say "not started: $etc/edge/$file is missing (dyncal pki issue AUTHORITY NAME --for edge makes it)"
            return 0
        fi
    done
    systemctl restart "$unit"
    say "runs: systemctl status $unit"
}

if [ "$action" = uninstall ]; then
    uninstall
    exit 0
fi
add_user
directories
build
settings
switch
service
say "installed $("$opt/current/bin/dyncal" version), settings in $etc/edge.toml"
