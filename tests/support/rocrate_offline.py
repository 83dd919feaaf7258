"""Run `rocrate-validator` where there is no network: RO-Crate's context comes from a file.

Run as ``python rocrate_offline.py CONTEXT ARGUMENTS``, in an environment that has roc-validator.
The context is that of the `rocrate` package, of 1.3: what is used here has the same addresses.
"""

import sys
from io import BytesIO
from pathlib import Path
from typing import Any

CONTEXT_OF = "https://w3id.org/ro/crate/1.2/context"


def main() -> int:
    from requests.adapters import HTTPAdapter
    from rocrate_validator.cli import cli
    from urllib3 import HTTPResponse

    context = Path(sys.argv.pop(1)).read_bytes()
    fetch = HTTPAdapter.send

    def send(self: HTTPAdapter, request: Any, *arguments: Any, **named: Any) -> Any:
        if not request.url.startswith(CONTEXT_OF):
            return fetch(self, request, *arguments, **named)
        headers = {"Content-Type": "application/ld+json"}
        raw = HTTPResponse(BytesIO(context), headers, status=200, preload_content=False)
        return self.build_response(request, raw)

    HTTPAdapter.send = send
    return int(cli() or 0)


if __name__ == "__main__":
    sys.exit(main())
