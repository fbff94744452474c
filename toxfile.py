"""tox reads the names py311 to py314 as Pythons that it has to find, for its environments. Here they name
Windows Pythons that the rig has: `dev.py pytest` runs pytest in one of them.

With this runner an environment's own Python is that of this machine, whatever its name is.
"""

from tox.plugin import impl
from tox.tox_env.python.virtual_env.runner import VirtualEnvRunner


class RigRunner(VirtualEnvRunner):
    @staticmethod
    def id():
        return "rig"

    @classmethod
    def extract_base_python(cls, env_name):
        """No version is asked of this machine by the environment's name."""
        return None


@impl
def tox_register_tox_env(register):
    register.add_run_env(RigRunner)
