"""`cordee directory` for whoever runs the server, `cordee admin` for the network's administrators."""
