#!/bin/sh
# Makes .tools/dynamodb: AWS's emulator of DynamoDB as tests/tools/dynamodb.xml pins it, and the wrapper that keeps it on
# loopback. A second run does nothing while both stay the same. Without Java the tests on the emulator are skipped, and say so.
set -eu
cd "$(dirname "$0")/../.."
target=.tools/dynamodb
for tool in java javac mvn; do
    if ! command -v "$tool" >/dev/null; then
        echo "$tool is missing, so nothing is tested on DynamoDB's emulator: apt-get install --no-install-recommends openjdk-17-jdk-headless maven" >&2
        if [ "${OUTFLOW_REQUIRE_ALL:-}" = 1 ]; then exit 1; else exit 0; fi
    fi
done
if cmp -s tests/tools/dynamodb.xml "$target/dynamodb.xml" && cmp -s tests/tools/Loop.java "$target/Loop.java"; then
    exit 0
fi
mkdir -p .tools
fresh=$(mktemp -d "$(pwd -P)/.tools/dynamodb.XXXXXX")
trap 'rm -rf "$fresh"' EXIT
mvn -q -B -ntp -f tests/tools/dynamodb.xml "-Dmaven.repo.local=$fresh/m2" "-DoutputDirectory=$fresh/lib" -DincludeScope=runtime \
    org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies
javac -cp "$fresh/lib/*" -d "$fresh/lib" tests/tools/Loop.java
rm -rf "$fresh/m2"
cp tests/tools/dynamodb.xml tests/tools/Loop.java "$fresh"
rm -rf "$target"
mv "$fresh" "$target"
trap - EXIT
