"""`penstock serve --stand-in`: the service as a stand-in for the cloud, for tests of other programs. Never for real data.

`service` puts it together, `life` is what a reset exchanges, `executor`, `expiring` and `clock` make armed faults and another
time felt, `contents` empties and keeps what is below its own HOME, `mark` and `homes` tell which HOMEs those are.
"""
