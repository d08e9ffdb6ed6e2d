"""The thin path of a service: reads answered in one round trip or none, everything else published as a
command."""
