"""What is (mirror), what should be (objects), and the difference (apply); the lease of who may write."""
