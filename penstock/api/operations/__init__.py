"""The operations of the API, one noun a module. Each module declares `OPERATIONS`; `penstock.api.dispatch` gathers them."""
