"""The commands, by section; each module joins those of its section to the application."""
