"""What indexes and distributions say about releases, read from bytes. Pure: bytes in, values out."""
