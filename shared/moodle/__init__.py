"""Speaking to Moodle's REST web services: one call, and what Moodle's error codes mean."""
