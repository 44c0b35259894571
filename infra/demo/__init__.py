"""The demo: three tenants, five messengers and five recipients on a local cell, checked end to end."""
