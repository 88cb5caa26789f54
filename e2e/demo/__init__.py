"""The demo: one model on a kind cluster, load that comes and goes, and replicas that follow."""
