"""Small programs of the project itself: locks, licences, house rules, the demo. Nothing in `penstock/` imports them."""
