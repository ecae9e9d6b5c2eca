"""The cache in Redis, a Redis Cluster, or any server with their protocol."""
