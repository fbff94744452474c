"""`dev.py bench`: us and the other sockets in every scenario, measured, told and drawn."""
