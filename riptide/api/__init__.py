"""What is reached over HTTP: middleware for services, the API for operators, keys, metrics."""
