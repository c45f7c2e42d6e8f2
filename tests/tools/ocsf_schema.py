"""Writes the JSON schema of OCSF 1.8.0's Detection Finding, profile cloud, with all its objects, to the file named.

The schema comes from a published package, so that our findings are held to what OCSF says and not to a copy of ours.
Unknown attributes are refused by it. Deliberately absent: any other class, and any change of the schema.
"""

import json
import pathlib
import sys

from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

VERSION = "1.8.0"
CLASS_UID = 2004
PROFILES = ["cloud"]


def main() -> None:
    target = pathlib.Path(sys.argv[1])
    raw = get_ocsf_schema(version=VERSION)
    name = next(name for name, item in raw["classes"].items() if item["uid"] == CLASS_UID)
    schema = OcsfJsonSchemaEmbedded(raw).get_class_schema(name, profiles=PROFILES)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(schema, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
