"""What is known of clean sound: estimates of the clean signal from a noisy state."""
