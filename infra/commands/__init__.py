"""The ``waybill`` command, and those of its commands that run a cell or ask one."""
