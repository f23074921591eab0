"""Real conda packages for tests, made out of what a machine has: values, archives, the channel."""
