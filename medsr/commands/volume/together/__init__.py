"""`medsr volume --together`: several scans of one body part in, one volume out."""
