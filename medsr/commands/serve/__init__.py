"""`medsr serve`: the page in a browser and the HTTP API behind it."""
