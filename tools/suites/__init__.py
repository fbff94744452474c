"""The languages' own test suites, run with our sockets and with the stock ones, and their recorded
results."""
