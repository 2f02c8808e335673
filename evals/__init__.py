"""evals know scores: configurations in, measurements out. May import all other rooms; none imports it."""
