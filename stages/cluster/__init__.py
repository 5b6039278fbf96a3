"""Questions to language models, answered by several replicas on one machine or many."""
