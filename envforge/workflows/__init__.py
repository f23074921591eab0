"""The stories of the commands: one file each, readable from top to bottom.

A workflow gets a :class:`~envforge.workflows.session.Session` and options, and returns a report, a
frozen value that :mod:`envforge.cli` renders for people or as JSON. It never prints.
"""
