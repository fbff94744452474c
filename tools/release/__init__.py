"""What is given away, made from a commit."""
