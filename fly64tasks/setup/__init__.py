"""What comes before the first study: its files, and a look at the machine and the installation."""
