#!/bin/sh
# Makes .tools/venv with the pinned Python packages of the tests, and what the tests read from them:
# .tools/ocsf-2004.json. A second run does nothing while tests/requirements.txt stays the same.
set -eu
cd "$(dirname "$0")/../.."
tools=.tools
stamp=$tools/venv/requirements.done
if ! cmp -s tests/requirements.txt "$stamp"; then
    rm -rf "$tools/venv"
    mkdir -p "$tools"
    "${PYTHON:-python3}" -m venv "$tools/venv"
    "$tools/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps -r tests/requirements.txt
    cp tests/requirements.txt "$stamp"
fi
"$tools/venv/bin/python" tests/tools/ocsf_schema.py "$tools/ocsf-2004.json"
