"""Sources into wheels: sdists unpacked, build backends run in the isolated environment they are given."""
