"""The programs of others that Cordée is measured against."""
