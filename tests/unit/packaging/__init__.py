"""What is handed to those who run the service."""
