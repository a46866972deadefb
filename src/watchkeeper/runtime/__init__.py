"""The running parts: the only floor with threads, clocks and leases."""
