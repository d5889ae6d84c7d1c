"""YAML as a plan needs it: safe, and with an error where a key stands twice."""

from typing import Any

import yaml


class PlanLoader(yaml.SafeLoader):
    """PyYAML's safe loader lets the last of two equal keys win, which would drop half of what somebody wrote."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """See yaml.SafeLoader; raises ConstructorError for a key that stands twice."""
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = key_node.value
            if key in seen and key != "<<":
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} stands twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)
