"""What the demo makes, does and takes away in real servers: Kafka, RabbitMQ, PostgreSQL; one file for each.

The outside, as the shop is: drivers are used plainly here, and nothing of sources or connectors is imported.
"""
