"""The models of a hub: pinned, fetched with patience, proven; whoever refuses is named."""
