"""`riptide doctor`: looks at a deployment, says what it saw, what that means, what to do; writes nothing."""
