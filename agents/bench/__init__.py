"""``lexstream bench``: how fast Kafka → model → Kafka is, as ratios, side by side in one run on this machine."""
