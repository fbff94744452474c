"""`dev.py bench`: measures our sockets and the others in every scenario, as tables and charts."""
