"""Power cuts: what was not synced is lost. Recorded system calls, rules of their order, and the disks they may leave."""
