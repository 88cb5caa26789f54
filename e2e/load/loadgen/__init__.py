"""Load on a model's OpenAI-compatible API: open loop, in generated tokens per second.

Arrivals are a Poisson process fixed by the profile and the seed before the first request is sent; they wait for no
answer. First-token times count from the scheduled arrival and not from the moment of sending, so a stall of the server,
of the client's connections or of the client itself lengthens them (no coordinated omission). Nothing is retried: a
stream has exactly its tokens or counts as failed, by kind.

Two generators at a time add up: the sum of Poisson arrivals is Poisson. A step down is a generator that is stopped;
SIGTERM ends its arrivals and lets its streams finish.
"""
