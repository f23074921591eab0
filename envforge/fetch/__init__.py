"""From a locked file to a tree in the store: download, check, unpack."""
