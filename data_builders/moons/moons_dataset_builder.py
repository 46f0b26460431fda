"""MOONS: four pairs of half circles in the plane, as a TFDS data set."""

from tfcl.data_builders import point_shapes, point_streams


class Builder(point_streams.PointStreamBuilder):
    """1,000 training, 500 test and about 250 validation points; see README."""

    def drawn(self):
        return point_shapes.moons(**point_shapes.MOONS)
