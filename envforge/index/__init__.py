"""PyPI and indexes like it: which files there are of a project, and what is in their metadata."""
