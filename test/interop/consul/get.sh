#!/bin/sh
# Puts the Consul of Debian bullseye (1.8.7; bookworm has none) into .cache/peers/consul, without a change to the system: the package is
# fetched by apt from the mirror that this machine uses, with a list of its own, and unpacked. Does nothing when it is there.
# Concurrent calls wait for each other.
set -eu
cd "$(dirname "$0")/../../.."
target=.cache/peers/consul
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
mkdir -p "$target"
exec 9>"$target/.lock"
if command -v flock >/dev/null; then flock 9; fi
if [ -x "$target/usr/bin/consul" ]; then exit 0; fi
for program in apt-get dpkg; do
  command -v "$program" >/dev/null || { echo "$program is not on the PATH; needs Debian or a system like it" >&2; exit 1; }
done

mirror=$(apt-get indextargets --format '$(ORIGIN)|$(COMPONENT)|$(CODENAME)|$(REPO_URI)' 'Created-By: Packages' |
  sed -n 's/^Debian|main|[a-z]*|//p' | head -n 1)
if [ -z "$mirror" ]; then echo "no source of Debian among those of apt; run apt-get update once" >&2; exit 1; fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/unpacked"
echo "deb [signed-by=$keyring] $mirror bullseye main" >"$work/sources.list"
# As the user who runs this: the folder is nobody else's.
apt() {
  apt-get -qq -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=- -o Dir::State::lists="$work/lists" \
    -o Dir::Cache="$work/cache" -o APT::Sandbox::User="$(id -un)" "$@"
}
apt update
(cd "$work" && apt download consul)
dpkg -x "$work"/consul_*.deb "$work/unpacked"
mkdir -p "$target/usr/bin"
mv "$work/unpacked/usr/bin/consul" "$target/usr/bin/consul"
"$target/usr/bin/consul" version | head -n 1
