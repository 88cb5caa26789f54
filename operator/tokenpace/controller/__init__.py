"""One tick serves every LLMDeployment: observe, estimate, plan, act, report."""
