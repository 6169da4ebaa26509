"""A course's one database: `opening` gives transactions, `steps` make its tables."""
