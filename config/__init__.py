"""What a stack file may say: typed sections, rules across sections, facts about EC2.

Knows no Pulumi resource.
"""

from config.loading import load_stack_config
from config.problems import ConfigError, Problem
from config.stack import SECTIONS, StackConfig

__all__ = ["SECTIONS", "ConfigError", "Problem", "StackConfig", "load_stack_config"]
