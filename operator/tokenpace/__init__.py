"""tokenpace holds a large language model on Kubernetes at a declared speed in tokens per second."""
