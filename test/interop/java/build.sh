#!/bin/sh
# Compiles into target/classes and writes target/classpath, the value for `java -cp`. Does nothing when the sources and the
# Java version are those of the last build. Concurrent calls wait for each other.
set -eu
cd "$(dirname "$0")"
if ! command -v mvn >/dev/null; then
  echo "mvn is not on the PATH; needs Maven and Java 17 or newer" >&2
  exit 1
fi
mkdir -p target
exec 9>target/.lock
if command -v flock >/dev/null; then flock 9; fi

sum=$({ java -version 2>&1; cat pom.xml build.sh; find src -name '*.java' | sort | xargs cat; } | sha256sum)
complete() { # the local repository may have been emptied since
  tr ':' '\n' <target/classpath | while read -r entry; do [ -e "$entry" ] || return 1; done
}
if [ "$(cat target/.built 2>/dev/null || true)" = "$sum" ] && complete; then exit 0; fi
rm -f target/.built
mvn -q -B compile dependency:build-classpath -Dmdep.outputFile=target/dependencies
# The extension with protobuf cannot be a dependency: its parent pom is not published. The jar alone can be copied.
if [ ! -f target/extension/serialization-extension-1.2.2.jar ]; then
  mvn -q -B dependency:copy -Dartifact=com.weibo:serialization-extension:1.2.2 -DoutputDirectory=target/extension
fi
printf '%s\n' "$PWD/target/classes:$PWD/target/extension/serialization-extension-1.2.2.jar:$(cat target/dependencies)" \
  >target/classpath
echo "$sum" >target/.built
