"""Links: a link plan carried out on a file system, and the scripts of an environment."""
