"""Classifier alignment: heads of different tasks learn to be compared.

Source: Zhang et al., "SLCA: Slow Learner with Classifier Alignment for
Continual Learning on a Pre-trained Model", ICCV 2023, and the program of
Memory Head (Tiezzi et al., CoLLAs 2024), which builds on it.
"""

import numpy as np
import tensorflow as tf

from tfcl.methods.layer_choice import statistic

_RIDGE = 1e-4  # Added to the diagonal of a covariance.


def aligned_logits(logits, tasks, num_tasks, temperature):
    """Logits over the mean length of the tasks' logits.

    Args:
        logits: `(b, classes)`, those of classes not seen masked by -1e9.
        tasks: Task of each class, int32 `(classes,)`; -1 for one not seen.
        num_tasks: Tasks seen, scalar.
        temperature: Divides the result; 0 leaves the logits as they are.
    """
    if not temperature:
        return logits
    seen = tf.cast(tasks >= 0, logits.dtype)
    squares = tf.square(logits * seen)
    per_task = tf.math.unsorted_segment_sum(
        tf.transpose(squares), tasks, tf.size(tasks)
    )
    # A length of 0 has no derivative.
    lengths = tf.sqrt(tf.where(per_task > 0, per_task, 1.0))
    lengths = tf.where(per_task > 0, lengths, 0.0) + 1e-7
    here = tf.cast(tf.range(tf.size(tasks)) < num_tasks, logits.dtype)
    mean = tf.reduce_sum(lengths * here[:, None], axis=0)
    mean /= tf.cast(num_tasks, logits.dtype)
    return logits / mean[:, None] / temperature


def mean_factors(tasks, current):
    """What shrinks the means of older classes: 0.9 + 0.1 (t_c + 1) / (t + 1).

    Args:
        tasks: Task t_c of each class, int32 tensor.
        current: Number t of the task in hand, int32 scalar.
    """
    tasks, current = tf.cast(tasks, tf.float32), tf.cast(current, tf.float32)
    return 0.9 + 0.1 * (tasks + 1.0) / (current + 1.0)


class ClassStatistics:
    """Mean and covariance of the features of each class, to draw from.

    Args:
        classes: Number of classes.
        features: d.
        at_once: Classes whose features are summed up in one pass, c.

    Attributes:
        sums: Variables that an `Accumulate` with `step` fills, float64:
            counts `(c,)`, sums `(c, d)`, products `(c, d, d)`.
        variables: All variables of this object.
    """

    def __init__(self, classes, features, at_once):
        shape, part = (classes, features), (at_once, features)
        self.sums = [
            statistic(np.zeros(size), f"sums_{number}", "float64")
            for number, size in enumerate(
                ((at_once,), part, (*part, features))
            )
        ]
        self.means = statistic(np.zeros(shape), "means")
        self.roots = statistic(np.zeros((*shape, features)), "roots")
        self.variables = [*self.sums, self.means, self.roots]

    def step(self, features, labels, first):
        """What a batch adds to `sums`, whose first class is `first`."""
        features = tf.cast(features, tf.float64)
        at_once = self.sums[0].shape[0]
        one = tf.one_hot(labels - first, at_once, dtype=tf.float64)
        return [
            tf.reduce_sum(one, axis=0),
            tf.matmul(one, features, transpose_a=True),
            tf.einsum("bc,bi,bj->cij", one, features, features),
        ]

    def note(self, first):
        """Takes means and covariances of the classes from `first` on."""
        means, roots = self.means.numpy(), self.roots.numpy()
        counts, sums, products = (v.numpy() for v in self.sums)
        # None in a resumed run, whose variables are not restored yet.
        for k in np.flatnonzero(counts):
            mean, covariance = moments(counts[k], sums[k], products[k])
            means[first + k] = mean
            roots[first + k] = np.linalg.cholesky(covariance)
        self.means.assign(means)
        self.roots.assign(roots)

    def drawn(self, labels, factors, seed):
        """Features drawn from the normal distribution of each label."""
        means = tf.gather(tf.convert_to_tensor(self.means), labels)
        roots = tf.gather(tf.convert_to_tensor(self.roots), labels)
        noise = tf.random.stateless_normal(tf.shape(means), seed)
        return means * factors[:, None] + tf.linalg.matvec(roots, noise)


def moments(count, total, products):
    """Mean, and covariance over n - 1 with 1e-4 on its diagonal."""
    mean = total / count
    centred = products - count * np.outer(mean, mean)
    covariance = centred / max(count - 1, 1)
    return mean, covariance + np.eye(len(mean)) * np.float32(_RIDGE)
