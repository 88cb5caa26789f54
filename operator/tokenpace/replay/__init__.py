"""The operator's own planner on recorded traffic, beside the other autoscalers and an oracle."""
