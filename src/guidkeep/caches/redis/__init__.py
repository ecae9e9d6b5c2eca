"""The cache in Redis, a Redis Cluster, or anything that speaks their protocol."""
