"""What runs on a monitor: the page of the fleet, made of what Prometheus knows and what the last deploys left."""
