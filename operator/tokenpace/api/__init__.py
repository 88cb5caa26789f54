"""The resource: models, schema, conditions, reasons and names. Imports nothing of tokenpace."""
