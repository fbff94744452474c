"""What everything else in the rig stands on: what it says, its cache, its child processes."""
