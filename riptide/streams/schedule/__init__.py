"""What is published by the clock: when, what, and once however many processes look (docs/schedules.md)."""
