"""The manifest: pyproject.toml as what the user asks for, read, checked, edited and digested."""
