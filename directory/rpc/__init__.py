"""One thin module for each service: parse, call, answer. Errors become statuses in the interceptor."""
