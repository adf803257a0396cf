"""The networks: what they are, how they are built, saved, downloaded and chosen."""
