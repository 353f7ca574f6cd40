"""What every service agrees on: the language of ESR's files, messages, storage, settings and telemetry."""
