"""How good answers are: task metrics and baselines, a judge, people's ratings. No torch, no screens."""
