"""Every store against one contract, and each store's own faults."""
