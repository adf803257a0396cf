"""What may be named: models, the networks of recipes, and recipes."""
