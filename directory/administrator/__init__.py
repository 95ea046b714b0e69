"""The administrators' tool: it runs on their own machines, holds their keys, and believes the directory nothing."""
