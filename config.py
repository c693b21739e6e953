"""What pyinfra is told before it reads an inventory: how hosts are reached, and `@kind`, whom nobody reaches."""

from deploy.fleet import connection
from deploy.image import kind_connector

__all__ = ["connection", "kind_connector"]
