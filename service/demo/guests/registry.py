"""Every kind of server that the demo brings events through. Loads the drivers: import it when needed."""

from service.demo.guests.base import Guest
from service.demo.guests.kafka import KafkaGuest
from service.demo.guests.postgres import PostgresGuest
from service.demo.guests.rabbitmq import RabbitMQGuest

GUESTS: dict[str, type[Guest]] = {guest.kind: guest for guest in (KafkaGuest, RabbitMQGuest, PostgresGuest)}
"""By kind, in the order in which the demo shows them."""
