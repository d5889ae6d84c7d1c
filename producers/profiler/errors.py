"""What can stand between an agent and the service it is to watch.

ProfilerError
+-- TargetError         no such process, or it is not Python
+-- NoPermissionError   the kernel does not let us look; the sentence holds the exact remedy
+-- SamplerError        the sampler's program is missing or does not start
"""

from schemas.errors import UserError


class ProfilerError(UserError):
    """Base of every error of the profiler."""


class TargetError(ProfilerError):
    """There is nothing to watch under that name or number."""


class NoPermissionError(ProfilerError):
    """The kernel does not let this user look into that process."""


class SamplerError(ProfilerError):
    """The sampler's program is missing, or ended when it should have watched."""
