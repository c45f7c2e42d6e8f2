#!/bin/sh
# Builds functions as they are shipped, for provided.al2023 on x86-64: target/lambda/NAME/bootstrap.zip, and beside it the
# bootstrap that is in it. Prints what they weigh; fails where a zip is larger than 5 MB, or where a binary wants a newer
# glibc than the 2.34 of Amazon Linux 2023. Tools come pinned from PyPI into .tools/lambda (445 MB, mostly zig, whose linker
# makes a binary that asks for an old glibc wherever it is built).
# Usage: package.sh PACKAGE...
set -eu
cd "$(dirname "$0")/../.."
tools=.tools/lambda
zip_max=5000000
glibc_max=2.34
if ! cmp -s tests/tools/package.txt "$tools/package.done"; then
    rm -rf "$tools"
    mkdir -p .tools
    "${PYTHON:-python3}" -m venv "$tools"
    "$tools/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps -r tests/tools/package.txt
    cp tests/tools/package.txt "$tools/package.done"
fi
packages=
for package in "$@"; do
    packages="$packages --package $package"
done
# The names of packages hold no spaces.
# shellcheck disable=SC2086
PATH="$(pwd)/$tools/bin:$PATH" cargo lambda build --quiet --profile lambda --x86-64 --output-format zip --locked \
    --lambda-dir target/lambda $packages
printf '%-22s %10s %10s  %s\n' function binary zip glibc
failed=0
for package in "$@"; do
    folder=target/lambda/$package
    "$tools/bin/python" -m zipfile -e "$folder/bootstrap.zip" "$folder"
    chmod +x "$folder/bootstrap"
    binary=$(wc -c <"$folder/bootstrap")
    zip=$(wc -c <"$folder/bootstrap.zip")
    glibc=$(objdump -T "$folder/bootstrap" | grep -o 'GLIBC_[0-9.]*' | sort -uV | tail -n 1)
    printf '%-22s %10d %10d  %s\n' "$package" "$binary" "$zip" "$glibc"
    if [ "$zip" -gt "$zip_max" ]; then
        echo "$package: the zip is larger than $zip_max bytes" >&2
        failed=1
    fi
    if [ "$(printf '%s\n%s\n' "$glibc" "GLIBC_$glibc_max" | sort -V | tail -n 1)" != "GLIBC_$glibc_max" ]; then
        echo "$package: it wants $glibc, and provided.al2023 has $glibc_max" >&2
        failed=1
    fi
done
exit "$failed"
