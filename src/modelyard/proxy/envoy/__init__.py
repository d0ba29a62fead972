"""The Envoy driver: desired state to delta xDS and back."""
