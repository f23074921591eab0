"""Repositories of git: asked for commits, cached, checked out. The system's ``git`` does the work."""
