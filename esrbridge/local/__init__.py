"""Starting a real PostgreSQL and a real RabbitMQ on one machine, for development, tests and the embedded mode."""

from esrbridge.local.postgres import LocalPostgres, postgres
from esrbridge.local.rabbitmq import LocalRabbitMQ, rabbitmq

__all__ = ["LocalPostgres", "LocalRabbitMQ", "postgres", "rabbitmq"]
