"""Pure decisions: values in, values out. No input and output, no clock, no randomness."""
