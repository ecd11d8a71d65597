"""`python -m streaming.client.sync`."""

from .command import main

raise SystemExit(main())
