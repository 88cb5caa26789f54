"""What outlives a restart: the learned speeds, kept in the status. Pure."""

from collections.abc import Mapping

from tokenpace.api.status import LearnedSpeed, LLMDeploymentStatus
from tokenpace.planning.learning import Learned
from tokenpace.planning.memory import Memory


def recall(status: LLMDeploymentStatus) -> Memory:
    """Return a fresh memory that knows what the status has kept. Whatever is not credible is left out."""
    learned = {}
    for variant in status.variants:
        kept = variant.learned
        if kept is None:
            continue
        integers = (
            kept.step_nanoseconds,
            kept.generated_token_nanoseconds,
            kept.prompt_token_nanoseconds,
            kept.observed_seconds,
            kept.most_streams,
        )
        restored = Learned.from_integers(kept.template_hash, integers)
        if restored is not None:
            learned[variant.name] = restored
    return Memory(learned=learned)


def learned_speeds(memory: Memory) -> Mapping[str, LearnedSpeed]:
    """Return by variant what is worth keeping of a memory."""
    speeds = {}
    for name, learned in memory.learned.items():
        integers = learned.to_integers()
        if integers is None:
            continue
        step, generated, prompt, observed_seconds, most_streams = integers
        speeds[name] = LearnedSpeed(
            template_hash=learned.template_hash,
            step_nanoseconds=step,
            generated_token_nanoseconds=generated,
            prompt_token_nanoseconds=prompt,
            observed_seconds=observed_seconds,
            most_streams=most_streams,
        )
    return speeds
