"""Real Kafka, RabbitMQ and PostgreSQL for tests, started at most once per run and shared by all its workers.

In a test, name a fixture (`tests/servers/fixtures.py`):

- `kafka`, `rabbitmq`, `postgres`: a shared server, as a small frozen value with its addresses. Never kill, freeze or
  configure one. Make things of your own in it: `unique("orders")`, `kafka_topic`, `rabbit_queue`, `pg_database`,
  `pg_schema`; these are gone after the test.
- `make_kafka`, `make_rabbitmq`, `make_postgres`: a server of the test's own, to be killed, frozen and restarted.

On the command line: `make servers` installs what is missing, `python -m tests.servers up` keeps shared servers
between runs, `status` and `down` say and end that. A container engine that answers is preferred for the shared
servers; `POINTSMAN_TEST_SERVERS=local` passes it over. Where nothing can be started, tests are skipped with the
reason, and fail where `CI=true`.
"""

import secrets


def unique(prefix: str) -> str:
    """Return a name that no other test has, good for a topic, a queue, a group, a table, a slot."""
    return f"{prefix}_{secrets.token_hex(4)}"
