"""What is worth loading before anybody asks: from access logs and popularity, the most useful first."""
