"""The release artifacts, made from a commit."""
