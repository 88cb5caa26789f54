"""What would be done to a fleet that may not be touched, for people. Pure."""

from collections.abc import Mapping


def advised_action(goal: Mapping[str, int], replicas: Mapping[str, int]) -> str:
    """Return the way from the replicas that there are to the goal, for example ``would scale q8 from 2 to 3``.

    It is told from the goal and not from the next step towards it: nobody takes that step, so that the next one would
    never be advised.
    """
    changes = [
        f"{variant} from {replicas.get(variant, 0)} to {wanted}"
        for variant, wanted in sorted(goal.items())
        if wanted != replicas.get(variant, 0)
    ]
    return f"would scale {', '.join(changes)}" if changes else "would change nothing"
