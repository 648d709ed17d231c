#!/bin/sh
# Builds agent, echo-server, client and mesh-client into bin/. Does nothing when the sources and the Go version are those of the last
# build. Concurrent calls wait for each other.
set -eu
cd "$(dirname "$0")"
if ! command -v go >/dev/null; then
  echo "go is not on the PATH; needs Go 1.21 or newer" >&2
  exit 1
fi
mkdir -p bin
exec 9>bin/.lock
if command -v flock >/dev/null; then flock 9; fi

sum=$({ go version; cat go.mod go.sum build.sh; find agent echo-server client mesh-client -name '*.go' | sort | xargs cat; } | sha256sum)
if [ "$(cat bin/.built 2>/dev/null || true)" = "$sum" ]; then exit 0; fi
rm -f bin/.built
for program in agent echo-server client mesh-client; do
  go build -mod=readonly -trimpath -o "bin/$program" "./$program"
done
echo "$sum" >bin/.built
