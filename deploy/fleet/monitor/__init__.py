"""A monitor: Prometheus and Alertmanager, told of every board of the inventory, and the page of the fleet."""
