"""The nightly cycle: each service's named steps per trust, run once a day by one of its replicas, and visible."""
