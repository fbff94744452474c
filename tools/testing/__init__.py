"""Complete test runs: the matrix, the strict build, the probe of a system, a bare Debian."""
