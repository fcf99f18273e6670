"""Hexad's speed beside peer libraries and beside bare loops: ``python -m benchmarks.speed LIST``."""
