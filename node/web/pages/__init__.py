"""One module for each thing that people do; each gives its pages as `PAGES`."""
