"""The crash suite's other sources: Kafka, RabbitMQ and PostgreSQL on servers that are killed too, polls and schedules.

`room` has what one campaign owns on the servers, `producers` writes there, `chaos` kills and freezes the servers,
`look` compares positions with the store whenever the service lies dead, `records` and `judge` give the verdict.
"""
