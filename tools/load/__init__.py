"""Servers under test and the peers that load them: many connections, long runs, random calls."""
