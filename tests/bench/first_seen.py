"""For scale beside replay: reads a folder of CloudTrail files and keeps the first sight of each (role, action).

Nothing else: no window, no store, no detection. Prints records, nanoseconds of processor time a record, and MiB.
"""

import gzip
import os
import resource
import sys
import time

import orjson

begin = time.process_time_ns()
first = {}
records = 0
for folder, _, names in sorted(os.walk(sys.argv[1])):
    for name in sorted(names):
        with open(os.path.join(folder, name), "rb") as file:
            document = orjson.loads(gzip.decompress(file.read()))
        for record in document["Records"]:
            records += 1
            identity = record["userIdentity"]
            issuer = identity.get("sessionContext", {}).get("sessionIssuer", {})
            key = (issuer.get("arn") or identity.get("arn"), record["eventName"])
            if key not in first:
                first[key] = record["eventTime"]
spent = time.process_time_ns() - begin
print(records, spent / max(records, 1), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 0)
