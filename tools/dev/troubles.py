"""What a failed command's output means, in one line that says what to do."""

from __future__ import annotations

import re

TROUBLES = (
    (
        r"No space left on device|Disk quota exceeded",
        "the disk is full (df -h . /tmp shows which): make room; TMPDIR=/another/disk moves pip's "
        "temporary files",
    ),
    (
        r"ProxyError|Cannot connect to proxy|407 Proxy|tunnel connection failed",
        "the proxy does not let pip through: see http_proxy and https_proxy in the environment, "
        "and 'proxy' in `pip config list`",
    ),
    (
        r"CERTIFICATE_VERIFY_FAILED|SSLCertVerificationError|invalid peer certificate",
        "the package index's certificate is not trusted here: install ca-certificates, or name "
        "your site's bundle with PIP_CERT=/path/to/it",
    ),
    (
        r"DO NOT MATCH THE HASHES|Hash mismatch",
        "a downloaded package is not the pinned one: a broken download or cache (pip cache purge), "
        "or an index that serves other files; see requirements/hashes.txt",
    ),
    (
        r"name resolution|Name or service not known|Failed to establish a new connection"
        r"|Network is unreachable|Connection refused|ConnectTimeout|NewConnectionError"
        r"|Read timed out|ReadTimeoutError|RemoteDisconnected|dns error|error sending request",
        "the package index cannot be reached: is there a network? `pip config list` says which "
        "index pip asks, http_proxy and https_proxy by which way",
    ),
    (
        r"not a trusted or secure host",
        "pip ignores a package index without https; `pip config list` says which, PIP_TRUSTED_HOST "
        "allows it",
    ),
    (
        r"No matching distribution found|Could not find a version",
        "the package index does not have it: `pip config list` says which index pip asks; a "
        "mirror may lag behind",
    ),
    (
        r"Killed signal|cc1plus: out of memory|cannot allocate memory|std::bad_alloc",
        "a compiler ran out of memory: fewer at a time need less, MAX_JOBS=1 make env",
    ),
    (
        r"Read-only file system|Permission denied",
        "a folder that is named here cannot be written: make it writable, or take another place "
        "(MMRBDC_WHEELS, TMPDIR, a clone on another disk)",
    ),
    (
        r"unsupported GNU version|host compiler targets unsupported",
        "this nvcc takes an older compiler than the system's: name one, "
        "NVCC_PREPEND_FLAGS='-ccbin g++-13' make env",
    ),
)


def explain(output: str) -> str:
    """The line for the first trouble that the output tells of; empty where none is known."""
    for pattern, line in TROUBLES:
        if re.search(pattern, output, re.IGNORECASE):
            return line
    return ""
