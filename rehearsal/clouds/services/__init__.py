"""What runs in the OpenStack environment's own Python: one process per service, and our drivers inside them.

In each process the service's WSGI application is served by waitress, and its RPC workers are threads over the in-memory
transport of oslo.messaging: OpenStack's projects talk to each other over HTTP only, so no message broker is needed.
"""
