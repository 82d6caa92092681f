"""What stands around a server: poolers, standbys, proxies, servers that can be stopped."""
