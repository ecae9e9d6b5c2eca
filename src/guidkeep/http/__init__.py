"""Guidkeep over HTTP: routes, problems, the OpenAPI document, and the connections."""
