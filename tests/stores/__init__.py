"""Every store against one contract, and the faults of each store."""
