"""What crosses a boundary: events, commands, records, files, and how they become bytes.

Knows neither Kafka nor torch, so a publisher can install and import this package alone.
"""
