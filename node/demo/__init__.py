"""The demonstration: a directory and three associations on this machine, and every outcome of a transfer."""
