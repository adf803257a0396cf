"""`medsr evaluate lesions`: lesions drawn into ground truth, and what is left of them after super-resolution."""
