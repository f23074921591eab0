"""Environments: generations that are made whole and never changed, and the ``.venv`` that points to one."""
