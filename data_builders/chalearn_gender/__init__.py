"""ChaLearn Faces of the World: gender."""
