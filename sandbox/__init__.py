"""An ESR and an LMS that behave like the real ones, for demos and tests. No service imports them."""
