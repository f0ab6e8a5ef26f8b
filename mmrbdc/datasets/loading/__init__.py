"""How a run's data are read: by our rules, and so that an epoch can be replayed."""
