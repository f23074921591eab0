"""envforge beside uv, Poetry, pdm and pip-tools: the same projects, registry and machine, in one run."""
