"""The node's API for its own association's tools, on a unix socket: thin servicers that parse, call and answer.

Nothing is imported here: the commands need `node.rpc.address` alone, and start faster without the servicers.
"""
