"""One question's way: retrieve, weigh, route, pack, generate, check the answer against what was read."""
