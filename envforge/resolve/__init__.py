"""Resolution: from requirements and an index's facts to one version of every package, for a target.

Pure: facts come through :class:`envforge.model.release.PackageSource`.
"""
