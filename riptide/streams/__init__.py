"""Commands on their way: publishing, consuming, taking over, retrying, dead letters."""
