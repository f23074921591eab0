"""``envforge.lock``: its format, and what can be said of one or two locks. Pure: text in, values out."""
