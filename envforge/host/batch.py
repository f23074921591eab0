"""Batch jobs: whether this process is in one, and whether this is a node where they are submitted."""

from __future__ import annotations

import os
from collections.abc import Mapping

JOB_VARIABLES = {
    "SLURM_JOB_ID": "SLURM",
    "PBS_JOBID": "PBS",
    "LSB_JOBID": "LSF",
    "OAR_JOB_ID": "OAR",
    "FLUX_JOB_ID": "Flux",
}
"""Variable with the id of the job → name of the scheduler."""
_SUBMITTERS = ("sbatch", "qsub", "bsub", "oarsub", "flux")


def find_job(environ: Mapping[str, str]) -> str:
    """``SLURM job 4711``, or "" where this process is in none."""
    for variable, scheduler in JOB_VARIABLES.items():
        if number := environ.get(variable, ""):
            return f"{scheduler} job {number}"
    return ""


def is_login_node(environ: Mapping[str, str]) -> bool:
    """Whether jobs can be submitted here and this process is in none."""
    if find_job(environ):
        return False
    folders = [folder for folder in environ.get("PATH", "").split(os.pathsep) if os.path.isabs(folder)]  # noqa: PTH117
    return any(os.access(f"{folder}/{name}", os.X_OK) for folder in folders for name in _SUBMITTERS)
