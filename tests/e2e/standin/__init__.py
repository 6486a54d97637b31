"""What a stand-in is for: programs that are tested against it, through the vendor's SDK and the plugin."""
