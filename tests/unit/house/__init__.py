"""Do the project's own tools (locks, licences, house rules) judge rightly?"""
