"""One scan in memory: how it was acquired, its planes refined, fused and made consistent with the scan."""
