"""The library: `tfcl.Learner` and `tfcl.Task`, for programs and notebooks."""
