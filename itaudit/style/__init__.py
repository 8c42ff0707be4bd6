"""What responses look like: length, formats, openings, what is copied from the dataset. No torch, no screens."""
