#!/usr/bin/env bash
# Fuzzes every decoder for so many seconds each, from the committed seeds; new inputs stay in target/, crashes fail the run.
# Needs a nightly toolchain (`cargo +nightly`) for the address sanitizer.
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=${1:-60}
fuzz=.tools/bin/cargo-fuzz
if [ ! -x "$fuzz" ]; then
    cargo install --locked cargo-fuzz --version 0.13.2 --root .tools
fi
for corpus in tests/fuzz/corpus/*/; do
    target=$(basename "$corpus")
    found=tests/fuzz/target/found/$target
    mkdir -p "$found"
    echo "== $target, $seconds s"
    RUSTUP_TOOLCHAIN=nightly "$fuzz" run --fuzz-dir tests/fuzz "$target" "$found" "$corpus" -- \
        -max_total_time="$seconds" -print_final_stats=1 -rss_limit_mb=4096 2>&1 | grep -E '^(stat::|==|SUMMARY|Done|artifact)' || exit 1
done
echo "no finding in $(ls -d tests/fuzz/corpus/*/ | wc -l) targets"
