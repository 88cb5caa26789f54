"""What is written of a comparison: `report.json`, one page that needs nothing else, and its plots."""
