"""What pyinfra is told before it reads an inventory: how hosts are reached, `@kind`, whom nobody reaches; Ctrl-C."""

from deploy.fleet import connection
from deploy.fleet.interrupt import heed_interrupts
from deploy.image import kind_connector

__all__ = ["connection", "kind_connector"]

heed_interrupts()
