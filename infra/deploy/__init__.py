"""The deployment of a cell on AWS: template, package, rehearsal on an emulator and deployment."""
