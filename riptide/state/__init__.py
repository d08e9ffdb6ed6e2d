"""What outlives a process and a server: blobs, the archive, replaying."""
