"""What every site of ours is made of: the door before it, forms that are ours, templates, style, words for times.

A node's pages and an administrator's console stand on it; it knows neither.
"""
