"""What a loaded model tells of itself to people and to their tools: a page, and an OpenAPI document."""
