"""Storage that every service has alike: engine, outbox, line fates, versioned facts, migrations, trust isolation."""
