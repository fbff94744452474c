"""The Windows interpreters and compilers, and what they need of this machine: fetched, made, and run."""
