"""Run ``python -m infra.deploy STAGE``."""

import sys

from .deploy import main

sys.exit(main())
