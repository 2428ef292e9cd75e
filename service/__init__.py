"""Pointsman: joins triggers and actions into one durable service."""

__version__ = "0.1.0"
