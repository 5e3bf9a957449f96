"""A linear probe over sentences, trained on the workers of the RayCluster: small, real, and it survives its workers."""
