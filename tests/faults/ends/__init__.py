"""What ends, is full, or goes away and comes back: file systems, mounts, descriptors, memory, the clock, the catalog's file."""
