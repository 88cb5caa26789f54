"""What ends a benchmark."""


class BenchError(ValueError):
    """What was asked for cannot be measured; the message names the option, or what the server said, and the cure."""


class NotAnsweringError(BenchError):
    """The server has stopped answering requests on their own; what was measured before stays true."""
