"""Renewal: how ESR and Totara each work out when training runs out, what an upload leads to, and where they differ."""
