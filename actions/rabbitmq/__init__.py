"""Publishing to RabbitMQ: `messages` writes (pure), `link` sends, `connector` judges the outcome."""
