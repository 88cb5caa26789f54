"""Real generations by single pods, asked for through the engine's own API."""
