"""A whole cell in one process: the local cell and ``waybill serve``, their engines, HTTP server and pollers."""
