"""The command line of an association: thin commands on top of the node's own API."""
