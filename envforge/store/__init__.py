"""The store: unpacked distributions, kept once per tier, and the guards that let many processes share it."""
