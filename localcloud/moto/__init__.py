"""moto, which most services come from: the only modules that touch its own objects."""
