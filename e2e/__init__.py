"""End to end on kind: the chart, a real Prometheus, a real model, real load, and faults."""
