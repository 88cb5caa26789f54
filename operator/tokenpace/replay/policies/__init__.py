"""The autoscalers of the comparison, one file each. `tokenpace.replay.policies.registry` names them all."""
