"""The pages that case handlers work in, served by the node itself.

Server-rendered: each page works without JavaScript. `site.py` puts everything together, `pages/` has one module for
each thing that people do, `door.py` stands before all of them.
"""
