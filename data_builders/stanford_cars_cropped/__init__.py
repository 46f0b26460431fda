"""Stanford Cars, cut to their bounding boxes."""
