"""The base of the rig: its messages, its cache, its child processes."""
