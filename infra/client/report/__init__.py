"""``waybill report``: an answer about data as a page that a regulator can read, or as JSON. ``asking`` fetches, ``page`` writes."""
