"""Files in, arrays out, and back, with everything needed to write a file of the same kind."""
