"""`medsr prepare`: data sets as their owners ship them to ground truth, split by subject."""
