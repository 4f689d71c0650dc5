"""Labelled documents to an evaluated artefact in the store. Runs as ``python -m models.training JOB_DIR``.

Knows nothing of Kafka: it reads two files, writes to the store and reports on standard output.
"""
