"""One file for each inference server: how it is launched, probed, drained, and what it exports."""
