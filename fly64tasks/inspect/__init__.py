"""What a file holds, in words, numbers and a picture, before anything is reconstructed."""
