"""Values that travel between the floors: requirement, target, release, distribution, resolution."""
