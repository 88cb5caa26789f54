import random

from tokenpace.bench.prompts import prompt


def test_a_prompt_has_about_as_many_words_as_tokens() -> None:
    assert len(prompt(32, random.Random(1)).split()) == 32


def test_no_two_prompts_are_alike() -> None:
    assert len({prompt(16, random.Random(seed)) for seed in range(1000)}) == 1000
