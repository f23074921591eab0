"""envforge: a fast, reproducible environment manager for machine-learning dependencies."""

__version__ = "0.1.0"
