"""The languages' own test suites, run with our sockets and with the stock ones, and what is recorded of
them."""
