"""What does the gate leave when stores, files, disks and movers fail?"""
