#!/bin/sh
# Fetches Eclipse hawkBit and compiles its ten lines of main: test/deploy/hawkbit/make-server.sh [DIR]
# With a JDK (11 or 17) and Maven; some 75 MB. Kept outside of the clone, so that it is made once a machine.
set -eu
to=${1:-${PARLEY_HAWKBIT:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/parley/hawkbit-0.3.0M7}}
[ -e "$to/parley/HawkbitServer.class" ] && { echo "$to is there"; exit 0; }
for program in mvn javac; do
  command -v "$program" >/dev/null || { echo "$program is missing: apt-get install maven default-jdk-headless" >&2; exit 4; }
done
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$(dirname "$to")"
rm -rf "$to.new"
mvn -q -B -Dstyle.color=never -f "$here/pom.xml" dependency:copy-dependencies -DoutputDirectory="$to.new/lib"
# The server's Spring reads classes of Java 14 at most.
javac --release 11 -cp "$to.new/lib/*" -d "$to.new" "$here/src/parley/HawkbitServer.java"
mv "$to.new" "$to"
