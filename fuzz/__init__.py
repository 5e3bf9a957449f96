"""The service asked what it should not be asked: by its OpenAPI document (schemathesis) and byte by byte."""
