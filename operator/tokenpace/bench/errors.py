"""What ends a benchmark."""


class BenchError(ValueError):
    """What was asked for cannot be measured; the message names the option, or what the server said, and the cure."""
