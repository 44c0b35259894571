"""Commands that ask a running cell over HTTP: reports, bundles and consent imports."""
