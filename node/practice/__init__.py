"""Practice: a small network of its own, with invented cases and partners that answer by themselves.

The pages, the domain and the protocol are the real ones; only what stands around them is from here. Nothing else of the
node imports this package.
"""
