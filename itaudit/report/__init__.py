"""Reports of runs and experiments: tables, plots, one HTML file, Markdown, exports. No torch, no screens."""
