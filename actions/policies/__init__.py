"""Policies of Power Platform: what a connector's `policyTemplateInstances` do to requests and answers.

All sixteen templates, by family: `fields` (headers, query), `hosts`, `routes` (and values fetched first),
`properties` and `shapes` (JSON bodies), `answers`. `engine` executes them in their order; what each takes is
in `actions.templates`, the language of its values in `actions.expressions`. Nothing here sends anything but
through what `complete` is handed.
"""

from actions.policies.engine import NOTES_HEADER, OperationPolicies, Send, compile_policies

__all__ = ["NOTES_HEADER", "OperationPolicies", "Send", "compile_policies"]
