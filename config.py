"""What pyinfra is told before it reads an inventory: boards are reached over the connection of deploy/fleet."""

from deploy.fleet import connection

__all__ = ["connection"]
