"""Publishing to Apache Kafka: `records` writes (pure), `producer` sends, `connector` judges the outcome."""
