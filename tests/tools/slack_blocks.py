"""Reads payloads, one JSON object a line, with Slack's own library, which checks most of its documented limits.

It must know every block, find every limit kept, and write each block as it read it. It lets a header with markup pass, so
that is checked here.
"""

import json
import sys

from slack_sdk.models.blocks import Block

messages = 0
for line in sys.stdin:
    blocks = json.loads(line)["blocks"]
    assert blocks and len(blocks) <= 50, len(blocks)
    for block in blocks:
        parsed = Block.parse(block)
        assert parsed is not None, block
        assert parsed.to_dict() == block, (parsed.to_dict(), block)
        if block["type"] == "header":
            assert block["text"]["type"] == "plain_text", block
    messages += 1
print(messages, "messages")
