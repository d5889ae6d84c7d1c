"""YAML as a plan needs it: safe, with times as they are written, and with an error where a key stands twice."""

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

    def construct_yaml_int(self, node: yaml.ScalarNode) -> Any:
        """See yaml.SafeLoader; but `18:30` is no number to the base of 60, which YAML 1.1 takes it for."""
        return node.value if ":" in node.value else super().construct_yaml_int(node)

    def construct_yaml_timestamp(self, node: yaml.ScalarNode) -> Any:
        """A moment stays text: there are none in JSON, and a stage's end reads its own."""
        return node.value


for _kind in ("int", "timestamp"):
    PlanLoader.add_constructor(f"tag:yaml.org,2002:{_kind}", getattr(PlanLoader, f"construct_yaml_{_kind}"))
