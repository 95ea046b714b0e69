"""A network of many nodes that all listen, for the time that a suspension takes to reach the last of them (W9).

One real directory process; the nodes are light ones, in two processes: each has its own keys, database, connection and
verified roster, and the node's own listener, roster and arrivals, but neither pages nor transfers of its own.
"""
