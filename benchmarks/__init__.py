"""Benchmarks: envforge beside uv, in one run, as ratios."""
