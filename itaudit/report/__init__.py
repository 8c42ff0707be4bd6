"""Reports of experiments and runs: the same tables in HTML, Markdown, CSV and Parquet. No torch, no screens."""
