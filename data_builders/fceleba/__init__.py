"""CelebA cut into users by LEAF."""
