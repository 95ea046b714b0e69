"""The administrator's console: local pages on the administrator's own machine, where their key is.

The directory's server has no page. What may be signed is decided in `directory.administrator`, as for the commands.
"""
