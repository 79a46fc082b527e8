#!/bin/sh
# Make what compose.yaml takes for secrets, in ./secrets: an authority, certificates, passwords. What is there stays.
#
#   deploy/containers/secrets.sh [DIRECTORY]      # needs the command dyncal; DYNCAL=... says where it is
#
# The directory lets nobody in but its owner; the files in it can be read by the users of the containers, into which
# they are mounted one by one. Keep authority/ away from the network, and a copy of it.
set -eu
umask 022
dyncal=${DYNCAL:-dyncal}
secrets=${1:-$(cd "$(dirname "$0")" && pwd)/secrets}
mkdir -p "$secrets"
chmod 0700 "$secrets"
authority="$secrets/authority"

[ -e "$authority" ] || "$dyncal" pki init "$authority" >/dev/null
issue() {
    name=$1
    shift
    [ -e "$secrets/$name.cert.pem" ] && return
    files=$("$dyncal" pki issue "$authority" "$name" "$@")
    for kind in cert key; do
        made=$(echo "$files" | grep -o "[^ ]*$kind\.pem" | head -n 1)
        install -m 0444 "$made" "$secrets/$name.$kind.pem"
    done
}
issue broker --for broker --host broker --host localhost --host 127.0.0.1
for program in ingest calibrate api; do issue "dyncal-$program" --for service; done
issue edge1 --for edge
for file in ca.pem crl.pem; do install -m 0444 "$authority/$file" "$secrets/$file"; done

for name in registry-password influx-password store-token; do
    if [ ! -e "$secrets/$name" ]; then
        head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n' >"$secrets/$name"
        chmod 0444 "$secrets/$name"
    fi
done
echo "secrets are in $secrets"
