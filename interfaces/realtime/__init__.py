"""Live streams of what happens, over WebSocket."""
