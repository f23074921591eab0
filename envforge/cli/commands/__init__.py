"""Which commands there are. Their modules are imported when they are called.

A command's module has ``add_arguments(parser)``, which declares its options and arguments, and
``execute(arguments, output)``, which returns the exit code. A module with ``RUNS_A_PROGRAM = True``
gets everything from the first word that is not an option, unread, as ``arguments.program``.
"""

from __future__ import annotations

COMMANDS = {
    "init": ("envforge.cli.commands.init", "start a project: write or extend pyproject.toml"),
    "add": ("envforge.cli.commands.add", "add packages to the project, lock and sync"),
    "remove": ("envforge.cli.commands.remove", "remove packages from the project, lock and sync"),
    "lock": ("envforge.cli.commands.lock", "resolve the project for all platforms and write envforge.lock"),
    "sync": ("envforge.cli.commands.sync", "make .venv hold exactly what the lock says"),
    "run": ("envforge.cli.commands.run", "sync if needed, then run a program in the environment"),
    "shell": ("envforge.cli.commands.shell", "sync if needed, then start a shell in the environment"),
    "tree": ("envforge.cli.commands.tree", "show what requires what"),
    "why": ("envforge.cli.commands.why", "show why a package is locked"),
    "tiers": ("envforge.cli.commands.tiers", "show the host's storage, what was chosen for what, and why"),
    "envs": ("envforge.cli.commands.envs", "show the environments of the project, or of all"),
    "rollback": ("envforge.cli.commands.rollback", "go back to an earlier environment"),
    "verify": ("envforge.cli.commands.verify", "check that the environment is as it was made"),
    "cache": ("envforge.cli.commands.cache", "show, prune or verify what is kept for all projects"),
    "doctor": ("envforge.cli.commands.doctor", "say what this machine has, and what is wrong with it"),
}
"""Name → module, and what the command does in a line. In the order of the help."""

SYNONYMS = {
    "check": "doctor",
    "clean": "cache prune",
    "environments": "envs",
    "exec": "run",
    "help": "--help",
    "install": "sync",
    "list": "tree",
    "prune": "cache prune",
    "storage": "tiers",
    "uninstall": "remove",
    "undo": "rollback",
    "update": "lock --upgrade",
    "upgrade": "lock --upgrade",
}
"""What other tools call it, to point the user to ours."""
