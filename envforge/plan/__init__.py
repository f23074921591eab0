"""Plans: pure values that say what is to be done, before anything is."""
