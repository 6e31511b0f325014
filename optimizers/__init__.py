"""What makes programs better."""
