"""Open files: a connection is one, and the usual limit is 1,024."""

import resource

_SPARE = 256


def allow_files(connections: int) -> None:
    """Raise this process's soft limit as far as so many connections need and the hard limit lets it."""
    wanted = connections + _SPARE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(most, soft), hard))
