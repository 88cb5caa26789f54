"""Measures a variant: open-loop load, speeds by the field's definitions, quality, and the speed card of both."""
