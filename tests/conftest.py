"""Fixtures that any test may ask for."""

from tests.broker import kafka, namespace

__all__ = ["kafka", "namespace"]
