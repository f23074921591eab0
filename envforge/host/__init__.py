"""Facts about this machine: its platform, its Pythons, the places where envforge keeps things."""
