"""Ways in and out: how files travel between a trust's folders here and a server elsewhere."""
