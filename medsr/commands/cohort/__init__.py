"""`medsr cohort`: one command over many inputs, on this machine, Slurm or Dask."""
