"""What tests share: commands of their own, and ways to run workers."""
