#!/usr/bin/python3
"""Does what the official kafka-topics.sh does, as far as compose.yaml needs it: makes one topic if it is not there."""

import asyncio
import sys

sys.path.insert(0, "/opt/lib")

from aiokafka.admin import AIOKafkaAdminClient, NewTopic

ALREADY = 36


async def main() -> int:
    words = sys.argv[1:]
    if not {"--create", "--if-not-exists"} <= set(words):
        sys.exit(f"a stand-in that only makes topics: {words}")
    admin = AIOKafkaAdminClient(bootstrap_servers=words[words.index("--bootstrap-server") + 1])
    await admin.start()
    try:
        answer = await admin.create_topics([NewTopic(words[words.index("--topic") + 1], 1, 1)])
    finally:
        await admin.close()
    return 0 if all(error[1] in (0, ALREADY) for error in answer.topic_errors) else 1


sys.exit(asyncio.run(main()))
