"""What the seeds published, measured here; see scripts/bench/seeds.py."""
