"""MediaNest, tested: folders mirror the tree, beside journeys and faults."""
