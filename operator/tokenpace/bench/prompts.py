"""Prompts of a given length that no cache has seen."""

import random

# Words that are one token each, with the space before them, in the vocabularies of Llama, GPT-2 and SmolLM2.
WORDS = tuple(
    """
    the and that with from this have there which about would their people other could first water after where
    right think three years place again house world below asked going large until along often earth eyes light
    thought city tree story night north once white children river four carry state book hear stop without second
    later miss idea
    """.split()  # noqa: SIM905 - ninety lines of quotes say less
)


def prompt(tokens: int, randomness: random.Random) -> str:
    """About `tokens` tokens of text, different from the first word on.

    Random from its first word, so that a server's prefix cache has nothing to reuse beyond its chat template. The true
    length is the server's `prompt_tokens`, which the report gives.
    """
    return " ".join(randomness.choice(WORDS) for _ in range(tokens))
